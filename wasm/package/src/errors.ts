// Errors as the package throws them, and as they cross from a worker.

/** An error of monoquant, with the code that docs/errors.md lists. */
export class MonoquantError extends Error {
  /** "MalformedInputError", ... */
  readonly code: string;
  /** What the command line would exit with. */
  readonly exitCode: number;
  /** What to do about it, the end of the message; empty if there is nothing. */
  readonly advice: string;

  constructor(
      {code, exitCode, message}:
          {code: string, exitCode: number, message: string},
      options?: ErrorOptions) {
    super(message, options);
    this.name = 'MonoquantError';
    this.code = code;
    this.exitCode = exitCode;
    this.advice = adviceOf(message);
  }
}

/** What follows the last "; " of a message. */
export function adviceOf(message: string): string {
  const at = message.lastIndexOf('; ');
  return at < 0 ? '' : message.slice(at + 2);
}

/** docs/errors.md, as far as the package makes errors itself. */
const EXIT_CODES = {
  InternalError: 1,
  UsageError: 2,
  NotFoundError: 5,
  AlreadyExistsError: 5,
  PermissionDeniedError: 5,
  ResourceExhaustedError: 5,
  UnavailableError: 5,
  MalformedInputError: 6,
} as const;

export type OwnCode = keyof typeof EXIT_CODES;

export function makeError(
    code: OwnCode, message: string, options?: ErrorOptions): MonoquantError {
  return new MonoquantError(
      {code, exitCode: EXIT_CODES[code], message}, options);
}

/** An error as a message that any structured clone can carry. */
export interface ErrorMessage {
  code: string;
  exitCode: number;
  message: string;
  cause?: {name: string; message: string};
}

/** What Node calls the errors of the system. */
const SYSTEM_CODES: Record<string, OwnCode> = {
  ENOENT: 'NotFoundError',
  ENOTDIR: 'NotFoundError',
  EEXIST: 'AlreadyExistsError',
  ENOTEMPTY: 'AlreadyExistsError',
  EACCES: 'PermissionDeniedError',
  EPERM: 'PermissionDeniedError',
  EROFS: 'PermissionDeniedError',
  ENOSPC: 'ResourceExhaustedError',
  EDQUOT: 'ResourceExhaustedError',
  ENOMEM: 'ResourceExhaustedError',
  EMFILE: 'ResourceExhaustedError',
};

function isSystemError(error: Error): boolean {
  return typeof (error as {code?: unknown}).code === 'string' &&
      'syscall' in error;
}

/** "ENOENT: no such file, open 'x'" becomes "x: no such file". */
function systemMessage(message: string): string {
  const parts = /^\w+: (.*), \w+ '([^']*)'/.exec(message);
  return parts === null ? message : `${parts[2]}: ${parts[1]}`;
}

/** Anything that was thrown, as one of ours. */
export function toMonoquantError(thrown: unknown): MonoquantError {
  if (thrown instanceof MonoquantError) return thrown;
  if (!(thrown instanceof Error)) {
    return makeError('InternalError', String(thrown), {cause: thrown});
  }
  // That of the loader, which is a class of its own, or an Error that has been
  // given a code of ours.
  const {code, exitCode, message, cause} =
      thrown as Partial<MonoquantError>&Error;
  if (cause instanceof MonoquantError) return cause;
  if (code !== undefined && exitCode !== undefined) {
    return new MonoquantError({code, exitCode, message}, {cause});
  }
  if (thrown.name === 'QuotaExceededError') {
    return makeError('ResourceExhaustedError', message, {cause: thrown});
  }
  if (isSystemError(thrown) || code === 'EEXIST') {
    return makeError(
        SYSTEM_CODES[code ?? ''] ?? 'UnavailableError', systemMessage(message),
        {cause: thrown});
  }
  return makeError('InternalError', message, {cause: thrown});
}

export function toMessage(thrown: unknown): ErrorMessage {
  const error = toMonoquantError(thrown);
  const {code, exitCode, message, cause} = error;
  return cause instanceof Error ?
      {code, exitCode, message,
       cause: {name: cause.name, message: cause.message}} :
      {code, exitCode, message};
}

export function fromMessage(message: ErrorMessage): MonoquantError {
  if (message.cause === undefined) return new MonoquantError(message);
  const cause = new Error(message.cause.message);
  cause.name = message.cause.name;
  return new MonoquantError(message, {cause});
}
