/** What is loaded after the log-in: the SIP agent and all views of it. The log-in view does without. */
export { Client } from './client.ts';
export { Home } from './ui/home.tsx';
