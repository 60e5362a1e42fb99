//===----------------------------------------------------------------------===//
// A replica whose steps last one millisecond, driven by hand.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

/// Drives one replica. Times are milliseconds; a step takes `1 ms + perToken µs × tokens`.
struct Yardstick {
    let replica: Replica
    var sink = RecordingSink()

    init(_ configuration: ReplicaConfiguration, perTokenMicroseconds: Int64 = 0, maxTokens: Int = 20_000) {
        replica = Replica(
            number: 0, configuration: configuration,
            table: simpleTable(perToken: perTokenMicroseconds * 1_000_000, maxTokens: maxTokens, maxSequences: 300))
    }

    /// Requests are numbered as they are submitted, from 0.
    private var count: UInt64 = 0

    @discardableResult
    mutating func submit(
        at milliseconds: Double = 0, prompt: Int32, output: Int32, priority: Int32 = 0, adapter: UInt16 = 0,
        prefix: PrefixIdentity = .none, maxOutput: Int32? = nil, streams: Bool = false
    ) -> UInt64 {
        let now = Int64(milliseconds * 1e6)
        var request = Request(
            id: count, arrivalNanoseconds: now, promptTokens: prompt, outputTokens: output, maxOutputTokens: maxOutput,
            prefix: prefix)
        request.priority = priority
        request.adapter = adapter
        if streams { request.flags = .streams }
        if replica.nextEventNanoseconds < now { replica.advance(until: now - 1, into: &sink) }
        replica.submit(request, at: now)
        count += 1
        return request.id
    }

    mutating func advance(to milliseconds: Double) {
        replica.advance(until: Int64(milliseconds * 1e6), into: &sink)
    }

    mutating func finish() { replica.advance(until: .max - 1, into: &sink) }

    func completion(_ id: UInt64) -> Completion? { sink.completions.first { $0.requestID == id } }

    /// Milliseconds of the first and the last token, and of the first step; -1 for what never came.
    func first(_ id: UInt64) -> Double { completion(id).map { Double($0.firstTokenNanoseconds) / 1e6 } ?? -1 }
    func last(_ id: UInt64) -> Double { completion(id).map { Double($0.lastTokenNanoseconds) / 1e6 } ?? -1 }
    func scheduled(_ id: UInt64) -> Double { completion(id).map { Double($0.scheduledNanoseconds) / 1e6 } ?? -1 }
    func cached(_ id: UInt64) -> Int32 { completion(id)?.cachedPromptTokens ?? -1 }
}

/// Keeps the hashes of a test's prompts.
final class Hashes {
    private var kept: [UnsafeMutablePointer<UInt64>] = []
    deinit { for pointer in kept { pointer.deallocate() } }

    /// One hash per `tokensPerHash` tokens.
    func callAsFunction(_ hashes: [UInt64], tokensPerHash: Int32 = 16) -> PrefixIdentity {
        let pointer = UnsafeMutablePointer<UInt64>.allocate(capacity: max(hashes.count, 1))
        for (index, hash) in hashes.enumerated() { pointer[index] = hash }
        kept.append(pointer)
        return PrefixIdentity(
            blockHashes: UnsafePointer(pointer), blockHashCount: Int32(hashes.count), tokensPerHash: tokensPerHash,
            session: 0, sessionTokens: 0, sharedHeadTokens: 0, sharedHead: 0)
    }
}

func session(_ number: UInt64, tokens: Int32, head: UInt32 = 0, headTokens: Int32 = 0) -> PrefixIdentity {
    PrefixIdentity(
        blockHashes: nil, blockHashCount: 0, tokensPerHash: 0, session: number, sessionTokens: tokens,
        sharedHeadTokens: headTokens, sharedHead: head)
}
