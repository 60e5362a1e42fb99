//===----------------------------------------------------------------------===//
// What the process has taken of its machine.
//===----------------------------------------------------------------------===//

import Glibc
import Ledger

enum ProcessEffort {
    /// Resident memory now, from the kernel's page count; 0 where there is no /proc.
    static var residentBytes: Double {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let fields = line.prefix { $0 != 0 }.split(separator: CChar(UInt8(ascii: " ")))
        guard fields.count > 1,
            let pages = Double(String(decoding: fields[1].map(UInt8.init(bitPattern:)), as: UTF8.self))
        else { return 0 }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

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
