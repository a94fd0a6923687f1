// What was opened: its name and size, and whether it is quantized already.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';
import {pick} from './drop_zone';
import {bytesText, countText, plural, sentence} from './format';
import {parameterCount} from './rows';
import type {Quantization} from './rows';
import {schemeText} from './scheme';

function quantizedNotice(quantization: object|null): TemplateResult|
    typeof nothing {
  if (quantization === null) return nothing;
  const {version, tensors} = quantization as Quantization;
  const kinds = [...new Set(tensors.map((t) => schemeText(t.scheme)))];
  return html`<div class="banner" role="note" data-test="already-quantized">
    <strong>This model is quantized already</strong>
    (${kinds.slice(0, 3).join('; ')}${kinds.length > 3 ? ' and more' : ''};
    ${plural(tensors.length, 'weight')}${
      version === null ? '' : `, by monoquant ${version}`}).
    Dequantize gives the floats back, Convert keeps the codes. Quantize decodes
    the weights first, and the errors add up.</div>`;
}

export function inputSummary(app: App): TemplateResult|
    typeof nothing {
  const {input} = app.state;
  if (input === null) return nothing;
  const {info} = input;
  const fact = (value: string, name: string) =>
      html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<section class="summary" aria-labelledby="input-name">
    <div class="summary-head">
      <h2 id="input-name" tabindex="-1" data-heading="inspect">${
      input.name}</h2>
      <div class="row">
        <button class="quiet" type="button"
            @click=${() => pick('files')}>Other files</button>
        <button class="quiet" type="button"
            data-test="close" @click=${() => app.closeInput()}>Close</button>
      </div>
    </div>
    <dl class="facts">
      ${fact(bytesText(input.bytes), 'Size')}
      ${fact(countText(info.tensors.length), 'Tensors')}
      ${fact(countText(parameterCount(info.tensors)), 'Parameters')}
      ${fact(info.container, 'Container')}
      ${input.files.length > 1 ? fact(String(input.files.length), 'Files') :
                                 nothing}
    </dl>
    ${quantizedNotice(info.quantization)}
    ${info.notes.map((note) => html`<p class="muted note">${sentence(note)}</p>`)}
  </section>`;
}
