// One tensor: what becomes of it, and its values as far as they are read.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {Survey} from '@monoquant/core';

import {SURVEY_AT_ONCE} from './app';
import type {App} from './app';
import {failureBox} from './error_panel';
import {
  bytesText, countText, decibelText, numberText, shapeText,
} from './format';
import {help, plot} from './parts';
import {histogramPlot} from './plots';
import {choicesByName} from './recipe_form';
import {isFloat} from './rows';
import {tensorChoice} from './tensor_choice';

/** The numbers of a histogram, for those to whom a picture says nothing. */
export function binsTable(
    caption: string, min: number, max: number, bins: readonly number[],
    against?: readonly number[]): TemplateResult {
  const step = (max - min) / bins.length;
  // Thirty-two lines are a table; more are a wall.
  const per = Math.ceil(bins.length / 32);
  const sums = (list: readonly number[], i: number) =>
      list.slice(i, i + per).reduce((a, b) => a + b, 0);
  const lines = [];
  for (let i = 0; i < bins.length; i += per) {
    lines.push(html`<tr><td>${numberText(min + i * step)} …
      ${numberText(min + Math.min(i + per, bins.length) * step)}</td>
      <td>${countText(sums(bins, i))}</td>
      ${against === undefined ? nothing :
                                html`<td>${countText(sums(against, i))}</td>`}
      </tr>`);
  }
  return html`<details class="why"><summary>As a table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${caption}>
    <table><caption class="sr">${caption}</caption>
      <thead><tr><th>Values</th><th>Before</th>${
      against === undefined ? nothing : html`<th>After</th>`}</tr></thead>
      <tbody>${lines}</tbody></table></div></details>`;
}

function statistics(survey: Survey): TemplateResult {
  const {against} = survey;
  const line = (name: string, before: number, after?: number) =>
      html`<tr><th scope="row">${name}</th><td>${numberText(before)}</td>
        ${against === undefined ? nothing :
                                  html`<td>${numberText(after!)}</td>`}</tr>`;
  return html`<table class="stats"><caption class="sr">Statistics</caption>
    ${against === undefined ? nothing : html`<thead><tr><td></td>
      <th>Before</th><th>After</th></tr></thead>`}
    <tbody>
    ${line('Smallest', survey.min, against?.min)}
    ${line('Largest', survey.max, against?.max)}
    ${line('Mean', survey.mean, against?.mean)}
    ${line('Standard deviation', survey.std, against?.std)}
    <tr><th scope="row">Zeros</th><td>${countText(survey.zeros)}</td>
      ${against === undefined ? nothing : html`<td></td>`}</tr>
    <tr><th scope="row">Not finite</th><td>${countText(survey.nonfinite)}</td>
      ${against === undefined ? nothing :
                                html`<td>${countText(against.nonfinite)}</td>`}
    </tr></tbody></table>`;
}

function surveyed(app: App, survey: Survey): TemplateResult {
  const {logCounts: logarithmic} = app.state;
  const {tensor, min, max, bins, against, error} = survey;
  const label = against === undefined ?
      `Histogram of ${tensor}` :
      `Histogram of ${tensor}, before and after`;
  return html`
    <label class="check"><input type="checkbox" .checked=${logarithmic}
        @change=${(e: Event) => app.setLogCounts(
            (e.target as HTMLInputElement).checked)}>
      Logarithmic counts, which show outliers</label>
    <h3>Values</h3>
    ${against === undefined ? nothing : html`<p class="legend">
      <span class="swatch area"></span>before
      <span class="swatch line"></span>after; each is drawn to its own
      height</p>`}
    ${plot(histogramPlot({
      label, min, max, bins, logarithmic,
      ...(against === undefined ? {} : {against: against.bins}),
    }), `${tensor}-values.svg`)}
    ${binsTable(label, min, max, bins, against?.bins)}
    ${statistics(survey)}
    ${error === undefined ? nothing : html`
      <h3>Error</h3>
      <p class="helped">SQNR <b>${decibelText(error.sqnr_db)}</b>${help('sqnr', 'SQNR')},
        largest error ${numberText(error.max_abs_error)},
        cosine ${error.cosine.toFixed(6)}</p>
      ${plot(histogramPlot({
        label: `Histogram of the error of ${tensor}`,
        min: error.min, max: error.max, bins: error.bins, logarithmic,
      }), `${tensor}-error.svg`)}
      ${binsTable(`Error of ${tensor}`, error.min, error.max, error.bins)}`}`;
}

export function tensorDrawer(app: App): TemplateResult|typeof nothing {
  const {drawer, rows, phase} = app.state;
  if (drawer === null) return nothing;
  const row = rows.find((r) => r.tensor.name === drawer.tensor);
  if (row === undefined) return nothing;
  const {tensor, planned} = row;
  const float = isFloat(row);
  const choosing = float && app.state.form.mode === 'quantize' &&
      (phase === 'inspect' || phase === 'error');
  const idle =
      !drawer.busy && drawer.survey === null && drawer.failure === null;
  return html`<aside class="drawer" role="dialog" aria-labelledby="drawer-title"
      data-test="drawer">
    <div class="drawer-head">
      <h2 id="drawer-title" tabindex="-1">${tensor.name}</h2>
      <button type="button" class="quiet" aria-label="Close"
          data-test="drawer-close" @click=${() => app.closeDrawer()}>×</button>
    </div>
    <dl class="facts small">
      <div><dt>Type</dt><dd>${tensor.dtype}</dd></div>
      <div><dt>Shape</dt><dd>${shapeText(tensor.shape)}</dd></div>
      <div><dt>Size</dt><dd>${bytesText(tensor.bytes)}</dd></div>
      ${tensor.layer_type === undefined ? nothing : html`<div><dt>Layer</dt>
        <dd>${tensor.layer_type}</dd></div>`}
    </dl>
    ${row.stored === '' ? nothing : html`<p>Is stored as
      <b>${row.stored}</b>.</p>`}
    ${tensor.tie === undefined ? nothing : html`<p>Shares its values with
      <code>${tensor.tie}</code>.</p>`}
    ${planned === null ? nothing : html`<p>Becomes <b>${row.becomes}</b>
      <span class="muted">(${planned.reason})</span>${
        planned.outputs.length === 0 ? '' :
            `, ${bytesText(row.newBytes ?? 0)}`}.</p>`}
    ${!choosing ? nothing : html`<div class="field"><span>Choice</span>
      ${tensorChoice(tensor.name,
          choicesByName(app.state.form).get(tensor.name)?.format ?? '',
          (choice) => app.choose([tensor.name], choice), 0)}</div>`}
    ${drawer.busy ? html`<p class="muted" role="status">Reading the values …</p>` :
                    nothing}
    ${drawer.failure === null ? nothing : failureBox(drawer.failure)}
    ${idle && float ? html`<p><button type="button" data-test="survey"
        @click=${() => app.survey()}>Show the values</button></p>
        ${tensor.bytes > SURVEY_AT_ONCE ? html`<p class="muted">This reads
          ${bytesText(tensor.bytes)}.</p>` : nothing}` : nothing}
    ${idle && !float ? html`<p class="muted">Histograms are for float
      tensors.</p>` : nothing}
    ${drawer.survey === null ? nothing : surveyed(app, drawer.survey)}
  </aside>`;
}
