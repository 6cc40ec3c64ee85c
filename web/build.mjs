// Builds the page: src/ -> dist/. Every asset but index.html carries a hash of its content in its name, so nginx may let browsers keep it for ever.
// There is no inline script and no inline style, so the page runs under the strict Content-Security-Policy that nginx sends.
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
const version = (await readFile(join(here, '..', 'VERSION'), 'utf8')).trim();

await rm(dist, { recursive: true, force: true });
await mkdir(join(dist, 'assets'), { recursive: true });

const result = await build({
	absWorkingDir: here,
	entryPoints: { app: 'src/main.tsx', style: 'src/styles/index.css' },
	outdir: join(dist, 'assets'),
	entryNames: '[name]-[hash]',
	chunkNames: '[name]-[hash]',
	bundle: true,
	splitting: true, // what the log-in page does not need (SIP) is a chunk of its own
	format: 'esm',
	target: ['chrome115', 'firefox115', 'safari16.4'],
	minify: true,
	loader: { '.woff2': 'file' },
	assetNames: '[name]-[hash]',
	publicPath: '/assets/',
	sourcemap: process.argv.includes('--sourcemap'),
	legalComments: 'linked',
	metafile: true,
	jsx: 'automatic',
	jsxImportSource: 'preact',
	define: { DUPLEX_VERSION: JSON.stringify(version), 'process.env.NODE_ENV': '"production"' },
	logLevel: 'warning',
});

const built = (entry) => {
	const found = Object.entries(result.metafile.outputs).find(([, o]) => o.entryPoint === entry);
	if (!found) throw new Error(`no output for ${entry}`);
	return `/assets/${found[0].split('/').pop()}`;
};

// What the entry imports at once is fetched beside it, not after it.
const entry = result.metafile.outputs[`dist${built('src/main.tsx')}`];
const preload = entry.imports
	.filter((i) => i.kind === 'import-statement')
	.map((i) => `<link rel="modulepreload" href="/assets/${i.path.split('/').pop()}" />`)
	.join('\n\t\t');

const html = (await readFile(join(here, 'src', 'index.html'), 'utf8'))
	.replace('%SCRIPT%', built('src/main.tsx'))
	.replace('%STYLE%', built('src/styles/index.css'))
	.replace('%PRELOAD%', preload);
if (/<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=/i.test(html)) throw new Error('index.html has inline code or style');
await writeFile(join(dist, 'index.html'), html);
await copyFile(join(here, 'src', 'favicon.svg'), join(dist, 'favicon.svg'));

// For nginx gzip_static; the Brotli size is only printed.
let total = 0;
for (const name of await readdir(join(dist, 'assets'))) {
	if (!/\.(js|css)$/.test(name)) continue;
	const bytes = await readFile(join(dist, 'assets', name));
	await writeFile(join(dist, 'assets', `${name}.gz`), gzipSync(bytes, { level: 9 }));
	const br = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
	total += br;
	console.log(`  ${name}  ${(bytes.length / 1024).toFixed(1)} kB, brotli ${(br / 1024).toFixed(1)} kB`);
}
console.log(`  whole page, brotli ${(total / 1024).toFixed(1)} kB`);
