// What went wrong, where, and what to do.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';
import type {Failure} from './failure';
import {copyText} from './saving';

/** The parts of a failure; in the page's error, and beside a recipe. */
export function failureBox(failure: Failure, heading = false): TemplateResult {
  return html`<div class="failure" data-test="error" data-code=${failure.code}
      role="alert">
    ${heading ?
          html`<h2 tabindex="-1" data-heading="error">${failure.title}</h2>` :
          html`<p><strong>${failure.title}.</strong></p>`}
    <p class="found">${failure.message}</p>
    ${failure.advice === '' ?
          nothing :
          html`<p class="advice"><span>What to do</span> ${failure.advice}</p>`}
  </div>
  <details class="why"><summary>Details for a report</summary>
    <pre data-test="details">${failure.details}</pre>
    <button class="quiet small" type="button" data-test="copy-details"
        @click=${() => copyText(failure.details)}>Copy the details</button>
  </details>`;
}

// A training checkpoint with several dicts, and a file that is refused, can be
// opened by somebody who knows what they want.
function openChoices(app: App): TemplateResult {
  const {openChoices: {root, allowOpaque}} = app.state;
  return html`<details class="why">
    <summary>Open it in another way</summary>
    <form class="stack" @submit=${(e: Event) => {
      e.preventDefault();
      app.reopen();
    }}>
      <label>Name of the dict that holds the weights
        <input type="text" .value=${root} placeholder="found by itself"
            @input=${(e: Event) => app.setOpenChoices(
                {root: (e.target as HTMLInputElement).value.trim()})}></label>
      <label class="check"><input type="checkbox" .checked=${allowOpaque}
          @change=${(e: Event) => app.setOpenChoices(
              {allowOpaque: (e.target as HTMLInputElement).checked})}>
        Read it although Python would run something dangerous for it. Nothing is
        executed here.</label>
      <p><button type="submit">Open again</button></p>
    </form></details>`;
}

export function errorPanel(app: App): TemplateResult|typeof nothing {
  const {failure, input, phase} = app.state;
  if (phase !== 'error' || failure === null) return nothing;
  return html`<section class="panel error-panel">
    ${failureBox(failure, true)}
    ${/could not be opened/.test(failure.title) ? openChoices(app) : nothing}
    ${input === null ? nothing :
                       html`<p class="muted">The recipe and the table are as
                         they were.</p>`}
  </section>`;
}
