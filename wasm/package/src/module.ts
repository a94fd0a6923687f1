// The WebAssembly module, compiled once for all workers.

import {isNode} from './environment.js';
import {makeError} from './errors.js';
import type {LoadOptions} from './types.js';

const compiled = new Map<string, Promise<WebAssembly.Module>>();

export function loadModule(
    wasm: LoadOptions['wasm']): Promise<WebAssembly.Module> {
  if (wasm instanceof WebAssembly.Module) return Promise.resolve(wasm);
  if (wasm !== undefined && typeof wasm !== 'string' &&
      !(wasm instanceof URL)) {
    return compile(wasm);
  }
  const where = wasm ?? new URL('./monoquant.wasm', import.meta.url);
  const key = String(where);
  let module = compiled.get(key);
  if (module === undefined) {
    module = fetchModule(where);
    compiled.set(key, module);
    // What failed may work another time.
    module.catch(() => compiled.delete(key));
  }
  return module;
}

async function fetchModule(where: URL|string): Promise<WebAssembly.Module> {
  return compile(await fetchBytes(where));
}

async function fetchBytes(where: URL|string): Promise<BufferSource> {
  try {
    if (isNode && !/^https?:/.test(String(where))) {
      const {readNodeFile} = await import('./node_client.js');
      return await readNodeFile(where);
    }
    const response = await fetch(where);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return await response.arrayBuffer();
  } catch (error) {
    throw makeError(
        'NotFoundError',
        `${where}: the module cannot be loaded ` +
            `(${(error as Error).message}); put monoquant.wasm beside the ` +
            'script, or say with the option wasm where it is',
        {cause: error});
  }
}

async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw makeError(
        'UnavailableError',
        `the module cannot be compiled (${(error as Error).message}); it ` +
            'needs WebAssembly with SIMD, which browsers have since 2023',
        {cause: error});
  }
}
