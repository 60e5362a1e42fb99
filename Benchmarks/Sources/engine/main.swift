//===----------------------------------------------------------------------===//
// engine: simulated requests per CPU second, and memory.
//===----------------------------------------------------------------------===//

import Conformance
import Engine
import Glibc
import StepModel
import Workload

func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

func peakMegabytes() -> Int {
    var usage = rusage()
    getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}

func fail(_ message: String) -> Never {
    let line = "engine: \(message)\n"
    write(2, line, line.utf8.count)
    exit(2)
}

/// Reads all requests of a workload, e.g. `vidur:PATH` or `mooncake:PATH`. The source keeps block hashes alive.
func read(_ text: String) -> (requests: [Request], source: any RequestSource) {
    do {
        let source = try Workload.open(text).makeSource()
        var requests: [Request] = []
        while let request = try source.next() { requests.append(request) }
        return (requests, source)
    } catch { fail("\(error)") }
}

func table(_ folder: String) -> StepTable {
    do { return try VidurTable(folder: folder).steps } catch { fail("\(error)") }
}

/// Sends the requests round robin over the replicas, and lets all of them run out.
func run(_ requests: [Request], replicas: [Replica], into sink: inout MetricsSink) {
    var next = 0
    for request in requests {
        let replica = replicas[next]
        next = next + 1 == replicas.count ? 0 : next + 1
        if replica.nextEventNanoseconds < request.arrivalNanoseconds {
            replica.advance(until: request.arrivalNanoseconds - 1, into: &sink)
        }
        replica.submit(request, at: request.arrivalNanoseconds)
    }
    for replica in replicas { replica.advance(until: .max - 1, into: &sink) }
}

func report(_ name: String, _ sink: MetricsSink, cpu: Double, readingCPU: Double, replicas: [Replica]) {
    let steps = replicas.reduce(0) { $0 + Int($1.usage.steps) }
    print(
        """
        {"workload": "\(name)", "requests": \(sink.finished), "rejected": \(sink.other), "cpuSeconds": \(cpu), \
        "requestsPerCPUSecond": \(Int(Double(sink.finished) / cpu)), \
        "requestsPerCPUSecondWithReading": \(Int(Double(sink.finished) / (cpu + readingCPU))), \
        "steps": \(steps), "nanosecondsPerStep": \(Int(cpu * 1e9 / Double(steps))), "peakMemoryMB": \(peakMegabytes()), \
        "preemptions": \(sink.preemptions), "cachedPromptShare": \(Double(sink.cachedTokens) / Double(max(1, sink.promptTokens))), \
        "meanTTFTms": \(sink.ttft.mean * 1e3), "p99TTFTms": \(sink.ttft.percentile(0.99) * 1e3), \
        "meanTPOTms": \(sink.tpot.mean * 1e3), "meanITLms": \(sink.itl.mean * 1e3), \
        "p99E2Ems": \(sink.endToEnd.percentile(0.99) * 1e3), "meanQueuems": \(sink.queue.mean * 1e3)}
        """)
}

/// `repeats` runs of the same requests on fresh replicas; the fastest counts.
func time(
    _ name: String, _ workload: String, replicas count: Int, _ configuration: ReplicaConfiguration, _ steps: StepTable,
    repeats: Int
) {
    let readingStart = cpuSeconds()
    let (requests, source) = read(workload)
    let readingCPU = cpuSeconds() - readingStart
    withExtendedLifetime(source) {
        var best = Double.infinity
        for _ in 0..<repeats {
            let replicas = (0..<count).map { Replica(number: Int32($0), configuration: configuration, table: steps) }
            var sink = MetricsSink()
            let start = cpuSeconds()
            run(requests, replicas: replicas, into: &sink)
            let cpu = cpuSeconds() - start
            if cpu < best { best = cpu }
            report(name, sink, cpu: cpu, readingCPU: readingCPU, replicas: replicas)
        }
    }
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    fail("engine n3|mooncake TABLE-FOLDER WORKLOAD [REPEATS] | engine memory TABLE-FOLDER")
}
let steps = table(arguments[2])
let repeats = arguments.count > 4 ? Int(arguments[4]) ?? 1 : 1
switch arguments[1] {
case "n3" where arguments.count > 3:
    let configuration = ReplicaConfiguration(
        maxSequences: 128, maxModelTokens: 4097, maxBatchedTokens: 512, kvBlocks: 7424, kvBlockTokens: 16,
        watermarkBlocks: 74)
    time("N3", arguments[3], replicas: 16, configuration, steps, repeats: repeats)
case "mooncake" where arguments.count > 3:
    for blockTokens in [16, 512] as [Int32] {
        let configuration = ReplicaConfiguration(
            maxSequences: 128, maxModelTokens: 131_072, maxBatchedTokens: 2048, kvBlocks: 7424 * 512 / blockTokens,
            kvBlockTokens: blockTokens, prefixCaching: .blocks)
        time("mooncake, blocks of \(blockTokens)", arguments[3], replicas: 8, configuration, steps, repeats: repeats)
    }
case "memory":
    measureMemory(steps)
default: fail("unknown benchmark '\(arguments[1])', or no workload")
}

/// 31,250 replicas (500,000 chips, 16 a replica) with 20 requests resident in each, half of them sessions seen before.
func measureMemory(_ steps: StepTable) {
    let configuration = ReplicaConfiguration(
        maxSequences: 32, maxModelTokens: 4097, maxBatchedTokens: 512, kvBlocks: 7424, kvBlockTokens: 16,
        prefixCaching: .sessions)
    let before = peakMegabytes()
    var sink = MetricsSink()
    let start = cpuSeconds()
    let replicas = (0..<31_250).map { Replica(number: Int32($0), configuration: configuration, table: steps) }
    var id: UInt64 = 0
    for replica in replicas {
        for index in 0..<20 {
            var request = Request(
                id: id, arrivalNanoseconds: Int64(index) * 1_000_000, promptTokens: 1000 + Int32(index) * 10,
                outputTokens: 1500)
            request.prefix.session = id + 1
            replica.submit(request, at: request.arrivalNanoseconds)
            id += 1
        }
        replica.advance(until: 5_000_000_000, into: &sink)
    }
    let resident = replicas.reduce(0) { $0 + Int($1.load.runningRequests + $1.load.waitingRequests) }
    let filled = peakMegabytes()
    let filling = cpuSeconds() - start
    for replica in replicas { replica.advance(until: .max - 1, into: &sink) }
    print(
        """
        {"replicas": \(replicas.count), "residentRequests": \(resident), "peakMemoryMB": \(filled), \
        "megabytesBefore": \(before), "peakMemoryMBAfterAllEnded": \(peakMegabytes()), \
        "cpuSecondsToFill": \(filling), "cpuSeconds": \(cpuSeconds() - start), "finished": \(sink.finished)}
        """)
}
