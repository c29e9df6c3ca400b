export default defineMcpTool({
  name: 'whoami',
  description: 'Who is calling',
  inputSchema: {},
  handler: async () => useEvent().context.user?.email ?? 'Authentication required',
});
