// What a run did, as a document for programs and as one for people.

import type {
  CheckpointInfo, PlanInfo, PlanRequest, RunResult, TensorResult,
} from '@monoquant/core';

import {
  bytesText, decibelText, escapeMarkup, numberText, ratioText, secondsText,
  sentence,
} from './format';
import {barsPlot, PLOT_STYLE} from './plots';
import type {PlannedTensor} from './rows';
import {schemeText} from './scheme';
import type {SchemeJson} from './scheme';

export interface Report {
  version: string;
  input: {name: string, bytes: number, info: CheckpointInfo};
  output: {name: string};
  request: PlanRequest;
  plan: PlanInfo;
  run: RunResult;
  command: string;
}

/** Worst first; what is exact comes last, in the order of the file. */
export function worstFirst(tensors: readonly TensorResult[]): TensorResult[] {
  const rank = (t: TensorResult) =>
      t.sqnr_db ?? (t.mse > 0 ? -Infinity : Infinity);
  return tensors.map((tensor, order) => ({tensor, order}))
      .sort((a, b) => {
        const [x, y] = [rank(a.tensor), rank(b.tensor)];
        return x === y ? a.order - b.order : x - y;
      })
      .map(({tensor}) => tensor);
}

/** Mean and worst over the layers that are not exact. */
export function summaryOf(tensors: readonly TensorResult[]) {
  const inexact = tensors.filter((t) => t.sqnr_db !== null);
  const sum = inexact.reduce((total, t) => total + t.sqnr_db!, 0);
  const worst = worstFirst(inexact)[0];
  return {
    mean: inexact.length === 0 ? null : sum / inexact.length,
    min: worst?.sqnr_db ?? null,
    worst_tensor: worst?.name ?? null,
    exact_tensors: tensors.filter((t) => t.sqnr_db === null && t.mse === 0)
                       .length,
  };
}

/** docs/schemas/result.json, with the files, the request and the command. */
export function reportJson(report: Report): string {
  const {run, plan, input} = report;
  const planned = plan.plan.tensors as PlannedTensor[];
  const results = new Map(run.results.tensors.map((t) => [t.name, t]));
  const count = (action: string) =>
      planned.filter((t) => t.action === action).length;
  const weights = run.files.filter((f) => !f.copied && !/\.json$/.test(f.name));
  const document = {
    schema: 'monoquant/result/1',
    command: report.request.mode ?? 'quantize',
    input: {
      path: input.name,
      container: input.info.container,
      bytes: input.bytes,
    },
    output: {
      path: report.output.name,
      format: plan.output.format,
      bytes: weights.reduce((sum, f) => sum + f.bytes, 0),
      load: plan.output.python === '' ? null : plan.output.python,
    },
    summary: {
      tensors: planned.length,
      quantized: count('quantize'),
      copied: count('copy'),
      tied: count('tie'),
      nonfinite: run.results.tensors.reduce((sum, t) => sum + t.nonfinite, 0),
      compression_ratio: input.bytes / run.bytesOut,
      sqnr_db: summaryOf(run.results.tensors),
    },
    tensors: planned.map((t) => {
      const result = results.get(t.name);
      return {
        name: t.name,
        action: t.action,
        reason: t.reason,
        ...(t.scheme === undefined ? {} : {scheme: t.scheme}),
        ...(result === undefined ? {} : {
          sqnr_db: result.sqnr_db,
          mse: result.mse,
          cosine: result.cosine,
          max_abs_error: result.max_abs_error,
          nonfinite: result.nonfinite,
        }),
      };
    }),
    notes: plan.notes,
    seconds: run.seconds,
  };
  return JSON.stringify(
      {
        schema: 'monoquant/page-report/1',
        version: report.version,
        request: report.request,
        cli: report.command,
        files: run.files.map(
            ({name, bytes, copied, sha256}) => ({name, bytes, copied, sha256})),
        result: document,
      },
      null, 2);
}

const REPORT_STYLE = `
body{font:16px/1.5 system-ui,sans-serif;color:#26211c;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #e6dfd6;overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
pre,code{font-family:ui-monospace,monospace;font-size:.85rem;overflow-wrap:anywhere;white-space:pre-wrap}
svg{width:100%;max-width:42rem;height:auto}
${PLOT_STYLE}`;

// The plot has room for so many; the table has all.
const MOST_BARS = 60;

/** One file that needs no other. All that came from a file is escaped. */
export function reportHtml(report: Report): string {
  const {run, plan, input} = report;
  const e = escapeMarkup;
  const worst = worstFirst(run.results.tensors);
  const summary = summaryOf(run.results.tensors);
  const title = `${input.name} → ${report.output.name}`;
  const files = run.files.map(
      (f) => `<tr><td>${e(f.name)}<td class="n">${bytesText(f.bytes)}` +
          `<td><code>${e(f.sha256)}</code>`);
  const layers = worst.map(
      (t) => `<tr><td>${e(t.name)}<td>${
          e(schemeText(t.scheme as SchemeJson))}<td class="n">${
          decibelText(t.sqnr_db)}<td class="n">${
          numberText(t.max_abs_error)}<td class="n">${t.cosine.toFixed(6)}`);
  const bars = worst.slice(0, MOST_BARS)
                   .map((t) => ({name: t.name, decibels: t.sqnr_db}));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${e(title)}</title><style>${REPORT_STYLE}</style></head><body>
<h1>${e(title)}</h1>
<p>${bytesText(input.bytes)} became ${bytesText(run.bytesOut)}: ${
      ratioText(input.bytes, run.bytesOut)}, in ${
      secondsText(run.seconds)}, by monoquant ${e(report.version)}.</p>
${
      summary.mean === null ? '' : `<p>SQNR: ${decibelText(summary.mean)} on average, ${
                                       decibelText(summary.min)} for the worst (<code>${
                                       e(summary.worst_tensor ?? '')}</code>).</p>`}
${plan.notes.map((note) => `<p>${e(sentence(note))}</p>`).join('\n')}
<h2>The same on the command line</h2>
<pre>${e(report.command)}</pre>
<h2>Files</h2>
<table><thead><tr><th>Name<th class="n">Size<th>SHA-256</thead>
<tbody>${files.join('\n')}</tbody></table>
${
      worst.length === 0 ? '' : `<h2>Layers, worst first</h2>
${barsPlot('SQNR of each layer, worst first', bars)}
<table><thead><tr><th>Tensor<th>Scheme<th class="n">SQNR<th class="n">Largest error<th class="n">Cosine</thead>
<tbody>${layers.join('\n')}</tbody></table>`}
</body></html>
`;
}
