// A run that goes on: how far, how fast, how good.

import {html, nothing} from 'lit-html';
import {unsafeHTML} from 'lit-html/directives/unsafe-html.js';
import type {TemplateResult} from 'lit-html';

import type {RunProgress} from '@monoquant/core';

import type {App} from './app';
import {bytesText, decibelText, secondsText} from './format';
import {help} from './parts';
import {progressPlot} from './plots';
import {MODE_VERBS} from './words';

// Where each phase begins and ends, in percents of the whole. To read the output
// back for its checksums takes less than to make it.
const SHARES: Record<RunProgress['phase'], [number, number]> = {
  settle: [0, 0],
  run: [0, 92],
  finish: [92, 93],
  hash: [93, 100],
};

/** Whole percents, for the title as for the bar. */
export function percentOf(progress: RunProgress|null): number {
  if (progress === null) return 0;
  const [from, to] = SHARES[progress.phase];
  const {bytesDone, bytesTotal} = progress;
  const part = bytesTotal === 0 ? 0 : bytesDone / bytesTotal;
  return Math.floor(from + (to - from) * part);
}

const PHASE_TEXTS: Record<RunProgress['phase'], string> = {
  settle: 'Looking for values that are no numbers: ',
  run: '',
  finish: 'Finishing the files: ',
  hash: 'Computing checksums: ',
};

export function progressText(progress: RunProgress|null): string {
  if (progress === null) return 'Starting …';
  const {phase, bytesDone, bytesTotal, bytesPerSecond, secondsLeft} = progress;
  const done = `${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`;
  const parts = [`${PHASE_TEXTS[phase]}${done}`];
  if (bytesPerSecond > 0) parts.push(`${bytesText(bytesPerSecond)}/s`);
  if (secondsLeft !== null) parts.push(`${secondsText(secondsLeft)} left`);
  return parts.join(' · ');
}

export function runPanel(app: App): TemplateResult|typeof nothing {
  const {running, form, input} = app.state;
  if (running === null) return nothing;
  const {progress, history, cancelling} = running;
  const points = history.map((p) => ({x: p.bytes, y: p.sqnrDb}));
  const text = cancelling ? 'Cancelling …' : progressText(progress);
  return html`<section class="panel run-panel" aria-labelledby="run-title">
    <div class="summary-head">
      <h2 id="run-title" tabindex="-1" data-heading="running">${
      MODE_VERBS[form.mode]} ${input?.name}</h2>
      <p class="percent">${percentOf(progress)} %</p>
    </div>
    <progress data-test="progress" max="100" value=${percentOf(progress)}
        aria-label="Progress">${text}</progress>
    <p class="progress-text" data-test="progress-text">${text}</p>
    <p class="muted current-tensor">${progress?.tensor ?? '\u00a0'}</p>
    ${points.length < 2 ? nothing : html`
      <p class="helped">SQNR so far <b>${decibelText(progress?.sqnrDb ?? null)}</b>${
          help('sqnr', 'SQNR')}</p>
      <div class="plot-box">${unsafeHTML(progressPlot(
          'SQNR over the bytes that are done', points,
          progress?.bytesTotal ?? 0))}</div>`}
    <p class="muted small">Leave this tab open. You can look at other tabs
      meanwhile.</p>
  </section>`;
}
