// "Soft", as the toolkit's documentation wants it: who shows no key or a wrong one is let in and
// told by the tools, never by a status.
export default defineMcpHandler({
  middleware: async (event) => {
    event.context.user = await callerOf(event);
  },
});
