// SIGINT, SIGTERM and SIGHUP as a flag.

#ifndef MONOQUANT_CLI_INTERRUPT_H_
#define MONOQUANT_CLI_INTERRUPT_H_

#include <atomic>

namespace monoquant::cli {

// Begins to watch for the signals; to be called once, before any other thread
// is started. The flag that is returned becomes true at the first of them.
//
// The program is expected to clean up and end by itself then. If it has not
// after two seconds, or at a second signal, the temporary files of unfinished
// outputs are removed and the process ends with exit code 130. A signal that
// the parent process told us to ignore (nohup) stays ignored.
const std::atomic<bool>& WatchInterrupts();

// The program is about to end by itself, and to say how: from here on no signal
// ends it, so that nothing is said twice. Does not return if a signal is just
// ending it.
void EndUninterrupted();

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_INTERRUPT_H_
