// Where files come in. The zone is decoration: its buttons do the same.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';

function chosen(app: App, event: Event): void {
  const input = event.target as HTMLInputElement;
  app.openFiles([...input.files ?? []]);
  // The same file, chosen once more, is a change then.
  input.value = '';
}

/** The real inputs; buttons and the whole page act for them. */
export function fileInputs(app: App): TemplateResult {
  return html`
    <input class="hidden" type="file" multiple id="files" tabindex="-1"
        data-test="file-input" aria-label="Files of a checkpoint"
        @change=${(e: Event) => chosen(app, e)}>
    <input class="hidden" type="file" webkitdirectory id="directory"
        tabindex="-1" data-test="directory-input"
        aria-label="Folder of a model" @change=${(e: Event) => chosen(app, e)}>`;
}

export function pick(id: 'files'|'directory'): void {
  (document.getElementById(id) as HTMLInputElement).click();
}

export function dropZone(app: App): TemplateResult {
  const {offlineReady} = app.state;
  return html`<section class="hero">
    <h1 tabindex="-1" data-heading>Make a PyTorch model smaller,<br>
      right here in this tab.</h1>
    <p class="lead">Your file is not uploaded. It is read, quantized and written
      by this page, on your machine.</p>
    <div class="drop" data-test="drop-zone">
      <svg class="drop-art" viewBox="0 0 160 64" aria-hidden="true">
        <path class="smooth" d="M4 56C60 56 70 8 156 8"/>
        <path class="steps"
            d="M4 56h36v-9h18v-11h16v-11h18V14h26V8h38"/>
      </svg>
      <p class="drop-title">Drop a checkpoint here</p>
      <p class="muted">.safetensors, .pt, .bin, .ckpt and more. All shards with
        their index, or a whole model folder.</p>
      <p class="row center">
        <button class="primary" type="button" @click=${() => pick('files')}
            >Choose files</button>
        <button type="button" @click=${() => pick('directory')}
            >Choose a folder</button>
      </p>
      <p class="muted">No model at hand?
        <button class="link" type="button" data-test="example"
            @click=${() => app.openExample()}>Try an example</button>
        that is made in the page.</p>
    </div>
    <ul class="promises">
      <li><strong>Private.</strong> The page cannot send your file anywhere: its
        security policy forbids it.
        <details><summary>How to check that</summary>
          <p>Open the developer tools of your browser and look at the network
            tab: after the page is loaded there are no requests. Or load the
            page, go offline, and use it.</p></details></li>
      <li><strong>Exact.</strong> The output is the same, byte for byte, as that
        of the command line program, and you get the command for it.</li>
      <li><strong>Safe.</strong> Nothing inside of a checkpoint is executed, and
        files of any size need little memory.</li>
    </ul>
    ${offlineReady ? html`<p class="muted small">This page works offline now.</p>` :
        nothing}
  </section>`;
}

/** Files may be dropped anywhere on the page. */
export function acceptDrops(app: App): void {
  let depth = 0;
  const mark = (over: boolean) =>
      document.documentElement.toggleAttribute('data-dropping', over);
  const hasFiles = (event: DragEvent) =>
      event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    ++depth;
    mark(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (depth === 0) mark(false);
  });
  document.addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (event.dataTransfer === null || !hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark(false);
    app.openDropped(event.dataTransfer);
  });
}
