// What went wrong, for people: never a raw exception.

import {MonoquantError} from '@monoquant/core';

import {sentence} from './format';

export interface Failure {
  /** What failed: "The file could not be opened". */
  title: string;
  /** What was found, and where. */
  message: string;
  /** What to do. */
  advice: string;
  /** As docs/errors.md has it. */
  code: string;
  /** To be copied into a report. */
  details: string;
}

const ADVICE: Record<string, string> = {
  MalformedInputError:
      'Check that the file is complete, and download it again.',
  UnsupportedError: 'docs/containers.md lists the files that can be read.',
  ResourceExhaustedError:
      'Close other tabs or free some disk space, and try again.',
  UnavailableError: 'Choose the file again.',
  NotFoundError: 'Choose the file again.',
  CannotQuantizeError: 'Change the recipe, or leave this tensor as it is.',
  UsageError: 'Change the recipe.',
  InternalError:
      'This is a mistake in monoquant. Copy the details into a report.',
};

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/**
 * A message with names out of a file, fit for a screen: without characters that
 * are none, or that turn the direction of writing.
 */
export function printable(text: string): string {
  return text.replace(
      /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
      '\ufffd');
}

export function failureOf(what: string, error: unknown): Failure {
  const title = printable(what);
  if (error instanceof MonoquantError) {
    const {code, advice} = error;
    const tail = advice === '' ? -1 : error.message.lastIndexOf(advice);
    // The message has the whole sentence; the remedy is shown apart from it.
    const found = tail > 0 ?
        error.message.slice(0, tail).replace(/[;\s]+$/, '') :
        error.message;
    return {
      title,
      message: printable(sentence(found)),
      advice: advice === '' ? ADVICE[code] ?? '' : printable(sentence(advice)),
      code,
      details: detailsOf(title, `${code}: ${error.message}`, error.cause),
    };
  }
  return {
    title,
    message: 'Something happened that monoquant does not expect.',
    advice: ADVICE['InternalError']!,
    code: 'InternalError',
    details: detailsOf(title, String(error), error),
  };
}

function detailsOf(title: string, text: string, cause: unknown): string {
  const lines = [title, text];
  if (cause instanceof Error) {
    lines.push(`caused by ${cause.name}: ${cause.message}`);
    if (cause.stack !== undefined) lines.push(cause.stack);
  }
  lines.push(navigator.userAgent);
  return printable(lines.join('\n'));
}
