// A PostgreSQL of a test's own (tests/postgres), which ends with the test's process at the latest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../postgres', import.meta.url));

/** Starts a server with an empty database. `fsync`: commits wait for the disk, as in use. Gives {url, kill, start,
 *  restart, end}; kill is SIGKILL for all of its processes. Null when PostgreSQL is not installed. */
export async function postgres(t, { fsync = false } = {}) {
    const server = spawn(script, fsync ? ['fsync'] : [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = once(server, 'exit');
    const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) {
        const [status] = await exited;
        if (status === 77 && !process.env.ASSAY_NEEDS_POSTGRES) return null;
        throw new Error(`tests/postgres ended with status ${status}`);
    }
    async function say(command) {
        server.stdin.write(`${command}\n`);
        const answer = await lines.next();
        if (answer.value !== 'done') throw new Error(`tests/postgres: ${command}: ${answer.value}`);
    }
    async function end() {
        server.stdin.end();
        await exited;
    }
    t?.after(end);
    return {
        url: first.value,
        kill: () => say('kill'),
        start: () => say('start'),
        async restart() {
            await say('kill');
            await say('start');
        },
        end,
    };
}
