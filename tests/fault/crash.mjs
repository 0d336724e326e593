// Crashes at a chosen commit of the store: crash.c preloaded into Assay's processes, told by a small file.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../flow/harness.mjs';

const source = fileURLToPath(new URL('crash.c', import.meta.url));

/** The name of a statement of SQLite's, by its text as the store prepares it. */
function statementNames() {
    const names = new Map();
    const files = ['templates/sql', 'templates/sql/sqlite'].flatMap((folder) =>
        readdirSync(join(root, folder)).map((name) => join(root, folder, name)),
    );
    for (const file of files.filter((path) => path.endsWith('.sql'))) {
        const sql = readFileSync(file, 'utf8');
        for (const part of sql.split(/^-- name: /m).slice(1)) {
            const [, name, text] = /^(\S+)([^]*)$/.exec(part);
            names.set(text.trim().replace(/\s+/g, ' ').split(' ;')[0].slice(0, 60), name);
        }
    }
    return names;
}

export class Crasher {
    /** `folder`: for its files. Assay must be started with `environment`. */
    constructor(folder) {
        this.file = join(folder, 'crash');
        const library = join(folder, 'crash.so');
        execFileSync(process.env.CC ?? 'cc', ['-std=gnu17', '-D_GNU_SOURCE', '-shared', '-fPIC', '-o', library, source]);
        this.environment = { LD_PRELOAD: library, ASSAY_CRASH: this.file };
        this.names = statementNames();
        this.plan(-1);
    }

    /** Spares `left` commits of a role (negative: all), then dies: only the process at it, and process `whole` if given. */
    plan(left, { role = '', after = true, whole = 0 } = {}) {
        const bytes = Buffer.alloc(24);
        [left, Number(after), whole].forEach((value, i) => bytes.writeInt32LE(value, 4 * i));
        bytes.write(role, 12);
        writeFileSync(this.file, bytes, { flag: this.made ? 'r+' : 'w' }); // in place: it is mapped
        this.made = true;
    }

    forget() {
        rmSync(`${this.file}.log`, { force: true });
    }

    /** What has been committed since forget(): [{role, end: "passed" | "died before" | "died after", statement}]. */
    log() {
        let text = '';
        try {
            text = readFileSync(`${this.file}.log`, 'utf8');
        } catch {
            return [];
        }
        return text
            .split('\n')
            .filter(Boolean)
            .map((line) => {
                const [role, end, sql] = line.split('\t');
                return { role, end, statement: this.names.get(sql.trim().replace(/\s+/g, ' ').slice(0, 60)) ?? sql };
            });
    }
}
