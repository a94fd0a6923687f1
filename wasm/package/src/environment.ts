// Where this runs.

/** True under Node, in its main thread and in its workers. */
export const isNode = typeof process !== 'undefined' &&
    process.versions?.node !== undefined &&
    (process as {type?: string}).type !== 'renderer';
