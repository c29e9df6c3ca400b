// What differs between a conversation without keyferry and the same one through it, and why. A `*` in a
// row stands for any text.
const LISTENS = 'a listen cannot be changed, and a legacy client follows one resource after the other: each time a new one';
const UNASKED = 'a legacy client hears of changes of lists without asking';
const EMPTY = 'a modern message always has params; what is left of them without `_meta`, which the other era has no use for';
const BY_ITSELF = 'of questions that come one after the other, each is asked as soon as it is there';
const TWO_SESSIONS = 'the SDK looks for the era with a process of its own, and each process begins a session';
const OFFERED = 'what the client says is offered as it is first, of each process the first request';

export const LISTED = {
  legacy: { bytes: {}, wire: {}, stdio: {} },
  modern: {
    bytes: { '- notifications/cancelled': 'closing the stream of a request is what cancels it over HTTP' },
    wire: { 'notifications of the client: - notifications/cancelled': 'the same; the SDK says it all the same' },
    stdio: { 'notifications of the client: + notifications/cancelled': 'which is what the SDK says where it has no stream to close' },
  },

  'legacy at modern': {
    wire: {
      'requests of the client: + initialize': 'what the client says is offered as it is first',
      'requests of the client: + subscriptions/listen': LISTENS,
      'requests of the client: subscriptions/listen + params.notifications.toolsListChanged': UNASKED,
      'requests of the client: subscriptions/listen + params.notifications.promptsListChanged': UNASKED,
      'requests of the client: subscriptions/listen + params.notifications.resourcesListChanged': UNASKED,
      'requests of the client: subscriptions/listen * params.notifications.resourceSubscriptions*': LISTENS,
      'notifications of the server: + notifications/subscriptions/acknowledged': LISTENS,
      'notifications of the server: notifications/subscriptions/acknowledged + params.notifications.toolsListChanged': UNASKED,
      'notifications of the server: notifications/subscriptions/acknowledged + params.notifications.promptsListChanged': UNASKED,
      'notifications of the server: notifications/subscriptions/acknowledged + params.notifications.resourcesListChanged': UNASKED,
      'notifications of the server: notifications/subscriptions/acknowledged * params.notifications.resourceSubscriptions*': LISTENS,
      'notifications of the client: - notifications/cancelled': 'closing the stream of a request is what cancels it over HTTP',
      'requests of the client: - tools/call log': 'the one without a level; a legacy client would hear all there is, and the script does not ask it',
    },
    stdio: {
      'requests of the client: resources/read lost://property ~ error.code': '-32002 until 2025-11-25, for which SDK v2 has the later -32602',
      'requests of the server: elicitation/create ~ params.elicitationId': 'has to be there until 2025-11-25, and is not there later',
      'notifications of the server: notifications/tools/list_changed + params': EMPTY,
    },
  },

  'modern at legacy': {
    wire: {
      'requests of the client: + server/discover': OFFERED,
      'requests of the client: + tools/list': OFFERED,
      'requests of the client: + initialize': TWO_SESSIONS,
      'notifications of the client: + notifications/initialized': TWO_SESSIONS,
      'requests of the client: initialize - params.capabilities.roots.listChanged': 'a modern client does not tell of changes of its roots',
      'requests of the client: prompts/list + params': EMPTY,
      'requests of the client: resources/list + params': EMPTY,
      'requests of the client: resources/templates/list + params': EMPTY,
      'requests of the client: + resources/unsubscribe note://b-of-fidelity': 'the client ends its listen before it begins the next one, with the same resource',
      'requests of the client: + resources/subscribe note://b-of-fidelity': 'the same',
      'requests of the client: + tools/call log': 'the one without a level, which is not in the script of legacy clients',
      'notifications of the server: + notifications/message': 'what a legacy remote says without a level; the client does not hear of it',
    },
    stdio: {
      'requests of the client: * - result._meta': 'only a modern remote says in each result which software made it; server/discover has it here',
      'requests of the client: + tools/call rounds': BY_ITSELF,
      "requests of the client: tools/call rounds - params.inputResponses.'roots/list'": BY_ITSELF,
      "requests of the client: tools/call rounds - result.inputRequests.'roots/list'": BY_ITSELF,
      'requests of the client: tools/call rounds - result.content': 'one more question instead of the answer',
      'requests of the client: tools/call rounds + result.inputRequests': 'the same',
      'requests of the client: tools/call rounds + result.requestState': 'the same',
      'requests of the client: tools/call rounds ~ result.resultType': 'the same',
      'notifications of the client: + notifications/cancelled': 'which is what the SDK says where it has no stream to close',
    },
  },
};
