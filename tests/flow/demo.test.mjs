// The demo that a newcomer sees first: it must go through with the answers that are recorded in the repository.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { binary, cannotRun, root, tools } from './harness.mjs';

const recorded = existsSync(join(root, 'deploy/demo.recording.jsonl'));
const skip =
    cannotRun || (!recorded && 'deploy/demo.recording.jsonl is missing: record it with deploy/demo --record URL');

test('the demo ends with a proven pull request, without any model', { skip, timeout: 240_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'assay demo '));
    t.after(() => rmSync(folder, { recursive: true }));
    const env = { PATH: process.env.PATH, HOME: folder, ASSAY_TOOLS: tools, LANG: 'C.UTF-8' };
    const { stdout } = await promisify(execFile)('sh', [join(root, 'deploy/demo'), binary], { cwd: folder, env });
    assert.match(stdout, /answers are replayed/);
    assert.match(stdout, /\nproven: every gate passed\n/);
    assert.match(stdout, /==> The proof, checked again: [^\n]*\nproven\n/);
});
