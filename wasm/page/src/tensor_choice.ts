// What becomes of one tensor, whatever the rules say.

import {html} from 'lit-html';
import {live} from 'lit-html/directives/live.js';
import type {TemplateResult} from 'lit-html';

import {formatText, FORMATS} from './scheme';

/** By the rules (''), left alone ('skip'), or a format. */
export type Choice = string;

const CHOICES: [Choice, string][] = [
  ['', 'By the rules'],
  ['skip', 'Keep as it is'],
  ...FORMATS.map((f): [string, string] => [f, formatText(f)]),
];

/** In the table it is reached by Enter, hence tabIndex -1 there. */
export function tensorChoice(
    name: string, choice: Choice, choose: (choice: Choice) => void,
    tabIndex: number): TemplateResult {
  return html`<select tabindex=${tabIndex} data-test="tensor-choice"
      aria-label="What becomes of ${name}" .value=${live(choice)}
      @change=${(e: Event) => choose((e.target as HTMLSelectElement).value)}>
    ${CHOICES.map(([value, text]) => html`<option value=${value}
        ?selected=${value === choice}>${text}</option>`)}</select>`;
}
