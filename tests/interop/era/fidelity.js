// What differs between a conversation without keyferry and the same one through it, and why. A name
// that ends in `*` stands for all that begin so.
export const LISTED = {
  legacy: { bytes: {}, wire: {}, stdio: {} },
  modern: {
    bytes: { '- notifications/cancelled': 'closing the stream of a request is what cancels it over HTTP' },
    wire: { 'notifications of the client: - notifications/cancelled': 'the same; the SDK says it all the same' },
    stdio: { 'notifications of the client: + notifications/cancelled': 'which is what the SDK says where it has no stream to close' },
  },
  'legacy at modern': { wire: {}, stdio: {} },
  'modern at legacy': { wire: {}, stdio: {} },
};
