#include "io/process.h"

#include <signal.h>
#include <unistd.h>

namespace fastckpt::io {

int ProcessId() {
  return static_cast<int>(::getpid());
}

void KillProcess() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace fastckpt::io
