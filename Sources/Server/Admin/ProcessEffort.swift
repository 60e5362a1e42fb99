//===----------------------------------------------------------------------===//
// What the process has taken of its machine.
//===----------------------------------------------------------------------===//

import Glibc
import Ledger

enum ProcessEffort {
    /// Wall time since the start, CPU time of the process, peak resident memory.
    static func now(startedSeconds: Int64) -> RunEffort {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        return RunEffort(
            wallSeconds: Double(time(nil)) - Double(startedSeconds),
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peakMemoryBytes: Int64(usage.ru_maxrss) * 1024)
    }
}
