// Small pieces of markup that several panels use.

import {html, nothing} from 'lit-html';
import {live} from 'lit-html/directives/live.js';
import {unsafeHTML} from 'lit-html/directives/unsafe-html.js';
import type {TemplateResult} from 'lit-html';

import {downloadText} from './saving';
import {plotFile} from './plots';
import {HELP} from './words';

/** A question mark that opens an explanation below. */
export function help(term: string, label: string): TemplateResult {
  return html`<details class="help">
    <summary aria-label="What is this: ${label}?">?</summary>
    <p>${HELP[term]}</p>
  </details>`;
}

/** A control under its name, with an explanation. */
export function field(
    label: string, term: string, control: TemplateResult, id: string,
    note: unknown = nothing): TemplateResult {
  return html`<div class="field">
    <label for=${id}>${label}</label>${help(term, label)}
    ${control}${note}
  </div>`;
}

export interface Option {
  value: string;
  text: string;
  /** Why it is not possible; '' if it is. */
  refused: string;
}

/** A native select. What is chosen is never disabled, whatever is refused. */
export function select(
    id: string, value: string, options: readonly Option[],
    change: (value: string) => void): TemplateResult {
  return html`<select id=${id} data-test=${id} .value=${live(value)}
      @change=${(e: Event) => change((e.target as HTMLSelectElement).value)}>
    ${options.map((o) => html`<option value=${o.value}
        ?selected=${o.value === value}
        ?disabled=${o.refused !== '' && o.value !== value}
        title=${o.refused}>${o.text}${
        o.refused === '' ? '' : ' (not possible)'}</option>`)}
  </select>`;
}

/** The reasons of a field's choices that are not possible. */
export function refusals(options: readonly Option[]): TemplateResult|
    typeof nothing {
  const refused = options.filter((o) => o.refused !== '');
  if (refused.length === 0) return nothing;
  return html`<details class="why">
    <summary>Why ${refused.length === 1 ? 'one choice is' :
        `${refused.length} choices are`} not possible</summary>
    <dl>${refused.map((o) => html`<div><dt>${o.text}</dt>
      <dd>${o.refused}</dd></div>`)}</dl>
  </details>`;
}

/** A plot that can be saved. Its text is made by plots.ts, which escapes. */
export function plot(svg: string, fileName: string): TemplateResult {
  return html`<div class="plot-box">${unsafeHTML(svg)}
    <button class="quiet small" type="button" data-test="save-plot"
        @click=${() => downloadText(fileName, 'image/svg+xml', plotFile(svg))}
        >Save as SVG</button>
  </div>`;
}

/** Names are told apart by their end, which is kept whole. */
export function nameParts(name: string): TemplateResult {
  const parts = name.split('.');
  const tail = parts.slice(-3).join('.');
  const head = name.slice(0, name.length - tail.length);
  return html`<span class="name-head">${head}</span><span
      class="name-tail">${tail}</span>`;
}

/** The logo: a smooth line and the steps that it becomes. */
export function logo(): TemplateResult {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <path class="smooth" d="M3 27C11 27 12 5 29 5"/>
    <path class="steps" d="M3 27h7v-7h5v-8h5V5h9"/>
  </svg>`;
}
