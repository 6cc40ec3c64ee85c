// Runs the node:test units in tests/web: esbuild bundles each (types away, imports from web/src resolved), node runs the result.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tests = join(here, '..', 'tests', 'web');
const out = mkdtempSync(join(tmpdir(), 'duplex-web-test-'));
try {
	const names = readdirSync(tests).filter((f) => f.endsWith('.test.ts'));
	await build({
		absWorkingDir: here,
		entryPoints: names.map((f) => join(tests, f)),
		outdir: out,
		outExtension: { '.js': '.mjs' },
		bundle: true,
		format: 'esm',
		platform: 'node',
		target: 'node18',
		sourcemap: 'inline',
		nodePaths: [join(here, 'node_modules')],
		define: { DUPLEX_VERSION: '"test"' },
		logLevel: 'warning',
	});
	const files = names.map((f) => join(out, f.replace(/\.ts$/, '.mjs')));
	const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...process.argv.slice(2), ...files], { stdio: 'inherit' });
	process.exitCode = run.status ?? 1;
} finally {
	rmSync(out, { recursive: true, force: true });
}
