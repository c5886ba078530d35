// Compares the public names of each subpath with its report etc/NAME.api.md and fails on a difference;
// with --local it writes the reports anew.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const root = fileURLToPath(new URL('..', import.meta.url));
const reports = join(root, 'etc');
const fresh = join(root, 'node_modules/.cache/api');
const local = process.argv.includes('--local');

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.entries(exports).filter(([, target]) => target.types !== undefined);
const nameOf = (subpath) =>
  subpath === '.' ? 'pagewright' : subpath.slice(2).replaceAll('/', '-');

mkdirSync(reports, { recursive: true });
let failed = false;
for (const [subpath, { types }] of entries) {
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, types),
      compiler: { tsconfigFilePath: join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: nameOf(subpath),
        reportFolder: reports,
        reportTempFolder: fresh,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: 'warning' } },
        tsdocMessageReporting: { default: { logLevel: 'warning' } },
        extractorMessageReporting: {
          default: { logLevel: 'warning' },
          // One subpath names the types of another and links to them, and an override inherits its documentation:
          // typedoc, which sees all of it, checks these three.
          'ae-forgotten-export': { logLevel: 'none' },
          'ae-unresolved-link': { logLevel: 'none' },
          'ae-undocumented': { logLevel: 'none' },
          // `@internal` says enough.
          'ae-internal-missing-underscore': { logLevel: 'none' },
        },
      },
    },
    configObjectFullPath: join(root, 'package.json'),
    packageJsonFullPath: join(root, 'package.json'),
  });
  const { succeeded, apiReportChanged } = Extractor.invoke(config, {
    localBuild: local,
    messageCallback: (message) => {
      const { messageId } = message;
      if (messageId === 'console-preamble' || messageId === 'console-compiler-version-notice') {
        message.handled = true;
      }
    },
  });
  const ok = succeeded && (local || !apiReportChanged);
  console.log(`${ok ? 'ok     ' : 'DIFFERS'} ${subpath}${apiReportChanged ? ' (changed)' : ''}`);
  failed ||= !ok;
}

const expected = new Set(entries.map(([subpath]) => `${nameOf(subpath)}.api.md`));
for (const report of readdirSync(reports).filter((name) => !expected.has(name))) {
  if (local) rmSync(join(reports, report));
  else console.error(`etc/${report} belongs to no subpath`);
  failed ||= !local;
}
if (failed) {
  console.error(
    'If the change is meant: npm run build && npm run api -- --local, and commit etc/.',
  );
  process.exit(1);
}
