// What the recipe would give, from the plan: exact before anything is read.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {PlanInfo} from '@monoquant/core';

import {bytesText, countText, plural, ratioText, sentence} from './format';
import {failureBox} from './error_panel';
import {emptyReason} from './offers';
import type {Mode} from './recipe_form';
import type {PlannedTensor, Quantization} from './rows';
import type {State} from './state';

/** "9.12 MB → 2.61 MB" */
export function sizeChange(before: number, after: number): string {
  return `${bytesText(before)} → ${bytesText(after)}`;
}

function sizeBars(before: number, after: number): TemplateResult {
  const most = Math.max(before, after, 1);
  const bar = (bytes: number, kind: string) => html`<svg class="size-bar"
      preserveAspectRatio="none" viewBox="0 0 100 1" aria-hidden="true">
      <rect class="track" width="100" height="1"/>
      <rect class=${kind} width=${100 * bytes / most} height="1"/></svg>`;
  return html`<div class="size-bars">${bar(before, 'before')}${
      bar(after, 'after')}</div>`;
}

function whatHappens(mode: Mode, info: PlanInfo, stored: number): unknown {
  const tensors = info.plan.tensors as PlannedTensor[];
  const quantized = tensors.filter((t) => t.action === 'quantize').length;
  if (mode === 'dequantize' && stored > 0) {
    return html`<strong>${plural(stored, 'tensor')}</strong> become floats
      again.`;
  }
  if (mode === 'convert') return 'The same numbers, stored in another way.';
  if (quantized === 0) return html`All tensors stay as they are.`;
  return html`<strong>${plural(quantized, 'tensor')}</strong> quantized,
    ${countText(tensors.length - quantized)} as they are.`;
}

function counts(mode: Mode, info: PlanInfo, stored: number): TemplateResult {
  const files = info.outputs.length;
  return html`<p>${whatHappens(mode, info, stored)}
    ${files > 1 ? html`${files} files in a folder.` : html`One file.`}</p>`;
}

// A worker has its chunks four times over and begins with 16 MiB: docs/wasm.md.
const WORKER_BYTES = 48 * 2 ** 20;
const BYTES_PER_WORKER = 32 * 2 ** 20;
const MOST_WORKERS = 4;

/** As many as @monoquant/core takes by itself. */
function workersFor(bytes: number, nonfinite: string): number {
  if (nonfinite === 'keep') return 1;
  const processors = navigator.hardwareConcurrency || 1;
  return Math.max(1, Math.min(
      MOST_WORKERS, processors - 1, Math.ceil(bytes / BYTES_PER_WORKER)));
}

// Files that are copied stay where they are, and take no space.
function needs(state: State, info: PlanInfo): TemplateResult {
  const {storageFree} = state;
  const storage = info.outputs.reduce(
      (sum, output) => sum + (output.copied ? 0 : output.bytes), 0);
  const memory = WORKER_BYTES *
      workersFor(info.plan.input_bytes, state.form.nonfinite);
  const short = storageFree !== null && storageFree < storage;
  return html`<p class="muted">Needs about ${bytesText(memory)} of memory, and
      ${bytesText(storage)} of the browser's storage.</p>
    ${short ? html`<p class="warn">The browser gives this page
      ${bytesText(storageFree)} only. Free some space on the disk, or choose a
      smaller scheme.</p>` : nothing}`;
}

/** The card beside the recipe. */
export function planEstimate(state: State): TemplateResult {
  const {planning, input, form} = state;
  const {info, failure, busy} = planning;
  if (input === null) return html``;
  if (failure !== null) {
    return html`<div class="estimate" data-test="estimate">${
        failureBox(failure)}</div>`;
  }
  if (info === null) {
    return html`<div class="estimate" data-test="estimate" aria-busy="true">
      <p class="muted">${form.nonfinite === 'keep' ?
          'Looking for values that are no numbers …' :
          'Planning …'}</p></div>`;
  }
  const why = emptyReason(form, info);
  return html`<div class="estimate" data-test="estimate"
      data-bytes=${info.output.bytes} aria-busy=${busy}>
    <p class="big">${bytesText(input.bytes)} <span class="arrow">→</span>
      <b>${bytesText(info.output.bytes)}</b></p>
    <p class="ratio">${ratioText(input.bytes, info.output.bytes)}</p>
    ${sizeBars(input.bytes, info.output.bytes)}
    ${counts(form.mode, info, input.info.quantization === null ?
        0 : (input.info.quantization as Quantization).tensors.length)}
    ${why === '' ? nothing : html`<p class="warn">No weight fits: ${why}.</p>`}
    ${
      info.plan.for !== undefined && info.plan.for.left > 0 ?
          html`<p>${plural(info.plan.for.left, 'weight')} left as
            ${info.plan.for.left === 1 ? 'it is' : 'they are'} for the sake of
            the program; the table says why.</p>` :
          nothing}
    ${needs(state, info)}
    ${info.notes.map((n) => html`<p class="muted note">${sentence(n)}</p>`)}
  </div>`;
}
