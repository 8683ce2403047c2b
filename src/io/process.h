// The process that runs this code.
#ifndef FASTCKPT_IO_PROCESS_H_
#define FASTCKPT_IO_PROCESS_H_

namespace fastckpt::io {

// Differs between a process and its forked children.
int ProcessId();

// Dies at once, as by a power cut: no destructor runs and nothing is flushed.
[[noreturn]] void KillProcess();

}  // namespace fastckpt::io

#endif  // FASTCKPT_IO_PROCESS_H_
