// What differs between a conversation without keyferry and the same one through it, and why. A name
// that ends in `*` stands for all that begin so.
export const LISTED = {
  legacy: { bytes: {}, wire: {}, stdio: {} },
  modern: {
    bytes: { '- notifications/cancelled': 'closing the stream of a request is what cancels it over HTTP' },
    wire: { 'notifications of the client: - notifications/cancelled': 'the same; the SDK says it all the same' },
    stdio: { 'notifications of the client: + notifications/cancelled': 'which is what the SDK says where it has no stream to close' },
  },
  'legacy at modern': {
    // Compared with a modern client.
    wire: {
      'requests of the client: + initialize': 'what the client speaks is offered to the remote first',
      'requests of the client: + subscriptions/listen': 'a legacy client hears of changes unasked, and each resource more or less is a new filter',
      'requests of the client: subscriptions/listen *': 'the same',
      'notifications of the server: + notifications/subscriptions/acknowledged': 'the same',
      'notifications of the server: notifications/subscriptions/acknowledged *': 'the same',
      "notifications of the server: notifications/resources/updated ~ params._meta.'io.modelcontextprotocol/subscriptionId'": 'a request has an id of the translation',
      "notifications of the server: notifications/tools/list_changed ~ params._meta.'io.modelcontextprotocol/subscriptionId'": 'the same',
      'notifications of the client: - notifications/cancelled': 'closing the stream of a request is what cancels it over HTTP',
      'notifications of the server: notifications/progress ~ params.progressToken': "the token is the client's, who counts in its own way",
      'requests of the client: tools/call ~ params._meta.progressToken': 'the same',
      'requests of the client: - tools/call': 'only a modern client calls for a log without a level',
      "requests of the client: tools/call + params._meta.'io.modelcontextprotocol/logLevel'": 'a level that was set holds for every request from then on',
      "requests of the client: tools/call ~ params._meta.'io.modelcontextprotocol/logLevel'": 'the same, as there is one call less',
      ...Object.fromEntries(
        ['completion/complete', 'prompts/get', 'prompts/list', 'resources/list', 'resources/read', 'resources/templates/list', 'server/discover', 'subscriptions/listen', 'tools/call', 'tools/list'].map((method) => [
          `requests of the client: ${method} - params._meta.'io.modelcontextprotocol/clientCapabilities'.roots.listChanged`,
          'modern roots do not change between two requests',
        ]),
      ),
    },
    // Compared with a legacy remote.
    stdio: {
      'notifications of the server: notifications/tools/list_changed + params': 'they held what the subscription is called, and are empty now',
      'requests of the client: resources/read ~ error.code': '-32002 is what 2025-11-25 says; this server says -32602 in both eras',
      'requests of the server: elicitation/create ~ params.elicitationId': 'modern ones have none: it is made here',
    },
  },
  'modern at legacy': {
    // Compared with a legacy client.
    wire: {
      'requests of the client: + server/discover': 'what the client speaks is offered to the remote first',
      'requests of the client: + initialize': 'the SDK asks once in a process that it throws away, which is a session of its own',
      'notifications of the client: + notifications/initialized': 'the same',
      'requests of the client: initialize - params.capabilities.roots.listChanged': 'a modern client has no way to say that they changed',
      'notifications of the client: notifications/cancelled ~ params.requestId': 'a request has an id of the translation',
      'notifications of the server: notifications/progress ~ params.progressToken': "the token is the client's, who counts in its own way",
      'requests of the client: tools/call ~ params._meta.progressToken': 'the same',
      'requests of the client: + tools/call': 'only a modern client calls for a log without a level',
      'notifications of the server: + notifications/message': 'the same: at the level of the session, and kept from the client',
      'requests of the client: + resources/subscribe': 'a new filter names again what the old one named',
      'requests of the client: + resources/unsubscribe': 'the same',
      'requests of the client: + tools/list': 'a client that listens looks again when it is told of a change',
      'requests of the client: prompts/list + params': 'they held what every modern request carries, and are empty now',
      'requests of the client: resources/list + params': 'the same',
      'requests of the client: resources/templates/list + params': 'the same',
    },
    // Compared with a modern remote.
    stdio: {
      'notifications of the client: + notifications/cancelled': 'which is what the SDK says where it has no stream to close',
      ...Object.fromEntries(
        ['completion/complete', 'prompts/get', 'prompts/list', 'resources/list', 'resources/read', 'resources/templates/list', 'tools/call', 'tools/list'].map((method) => [
          `requests of the client: ${method} - result._meta`,
          'a legacy server names itself once, in the handshake',
        ]),
      ),
      'requests of the client: + tools/call': 'a legacy server asks one thing after the other, a modern one may ask several at once',
      'requests of the client: tools/call + params.inputResponses*': 'the same; and what was asked has a name of the translation',
      'requests of the client: tools/call - params.inputResponses.*': 'the same',
      'requests of the client: tools/call + result.inputRequests*': 'the same',
      'requests of the client: tools/call - result.inputRequests.*': 'the same',
      'requests of the client: tools/call + params.requestState': 'the state is of the translation, also where a modern server needs none',
      'requests of the client: tools/call ~ params.requestState': 'the same',
      'requests of the client: tools/call + result.requestState': 'the same',
      'requests of the client: tools/call ~ result.requestState': 'the same',
      "requests of the client: tools/call - params._meta.'io.modelcontextprotocol/logLevel'": 'with a round more, the calls after it are compared with those before them',
      "requests of the client: tools/call ~ params._meta.'io.modelcontextprotocol/logLevel'": 'the same',
      'requests of the client: tools/call - params.arguments.via': 'the same',
      'requests of the client: tools/call ~ params.name': 'the same',
      'requests of the client: tools/call - result.content': 'the same',
      'requests of the client: tools/call ~ result.content[].text': 'the same',
      'requests of the client: tools/call ~ result.resultType': 'the same',
    },
  },
};
