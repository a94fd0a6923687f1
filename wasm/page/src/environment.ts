// Where the files of this page lie; build_page.mjs fills in their names.

declare const MQ_WORKER: string;
declare const MQ_WASM: string;

export const WORKER_URL = new URL(MQ_WORKER, document.baseURI);
export const WASM_URL = new URL(MQ_WASM, document.baseURI);
export const CORE_FILES = {
  worker: WORKER_URL,
  wasm: WASM_URL
};
