//===----------------------------------------------------------------------===//
// One end of one request, as the ledger's journal keeps it.
//===----------------------------------------------------------------------===//

public import Engine

/// How a request ended on the fleet or on the baseline: plain data of fixed size, so that it can be written into mapped
/// memory.
public struct LedgerRecord: BitwiseCopyable, Sendable, Equatable {
    public enum Side: UInt8, BitwiseCopyable, Sendable { case fleet, baseline }
    public enum Finish: UInt8, BitwiseCopyable, Sendable { case stop, length, toolCalls }

    /// Which run of the daemon: Unix time of its start in nanoseconds.
    public var run: UInt64
    /// The number in the id of the HTTP answer (`chatcmpl-…` in hexadecimal); choices of one answer share it.
    public var answer: UInt64
    public var completion: Completion
    /// Hash of the first KV block of the prompt and how many full blocks it has; 0 when they were not hashed.
    public var firstBlockHash: UInt64
    public var blockCount: Int32
    public var maxOutputTokens: Int32
    public var side: Side
    public var finish: Finish

    public init(
        run: UInt64, answer: UInt64, completion: Completion, firstBlockHash: UInt64, blockCount: Int32,
        maxOutputTokens: Int32,
        side: Side,
        finish: Finish
    ) {
        self.run = run
        self.answer = answer
        self.completion = completion
        self.firstBlockHash = firstBlockHash
        self.blockCount = blockCount
        self.maxOutputTokens = maxOutputTokens
        self.side = side
        self.finish = finish
    }

    /// FNV-1a over the record's fields, never 0: tells a whole record from one that was being written when the machine
    /// died.
    public var checksum: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ value: UInt64) { hash = (hash ^ value) &* 0x0000_0100_0000_01B3 }
        add(run)
        add(answer)
        add(completion.requestID)
        for time in [
            completion.arrivalNanoseconds, completion.scheduledNanoseconds, completion.firstTokenNanoseconds,
            completion.lastTokenNanoseconds,
        ] { add(UInt64(bitPattern: time)) }
        add(
            UInt64(UInt32(bitPattern: completion.promptTokens)) << 32
                | UInt64(UInt32(bitPattern: completion.cachedPromptTokens)))
        add(
            UInt64(UInt32(bitPattern: completion.outputTokens)) << 32
                | UInt64(UInt32(bitPattern: completion.preemptions)))
        add(UInt64(UInt32(bitPattern: completion.replica)) << 32 | UInt64(completion.tenant))
        add(completion.session)
        add(UInt64(completion.status.rawValue) << 16 | UInt64(completion.priorityClass) << 8 | UInt64(side.rawValue))
        add(firstBlockHash)
        add(UInt64(UInt32(bitPattern: blockCount)) << 32 | UInt64(UInt32(bitPattern: maxOutputTokens)))
        add(UInt64(finish.rawValue))
        return hash | 1
    }
}
