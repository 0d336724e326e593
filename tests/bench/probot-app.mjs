// The peer: a Probot app that writes nothing and does nothing with what it hears.
import { run } from 'probot';

await run((app) => {
    app.on('issues.opened', () => {});
});
