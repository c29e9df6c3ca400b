// As the toolkit's documentation has it: an error thrown in a tool becomes its result.
export default defineMcpTool({
  name: 'secrets',
  description: 'What only a member may see',
  inputSchema: {},
  handler: async () => {
    const { user } = useEvent().context;
    if (!user) throw createError({ statusCode: 401, message: 'Authentication required. Please provide a valid API key.' });
    return `for ${user.email} only`;
  },
});
