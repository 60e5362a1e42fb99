//===----------------------------------------------------------------------===//
// Skip-ahead equals stepping, bit for bit (invariant 3).
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Testing
import Workload

@Suite struct SkipAheadTests {
    /// One random replica, workload and way of calling, on the engine and on the oracle.
    @Test(arguments: 0..<12)
    func everyTimeTokenAndJouleAgrees(batch: UInt64) {
        for index in 0..<40 {
            let seed = batch * 1000 + UInt64(index)
            if let difference = Trial(seed: seed).firstDifference() {
                var random = SplitMix64(seed: seed)
                Issue.record("seed \(seed): \(difference)\n\(Trial.configuration(&random))")
                return
            }
        }
    }
}

/// A reproducible experiment: everything follows from the seed.
struct Trial {
    let seed: UInt64

    func firstDifference() -> String? {
        var random = SplitMix64(seed: seed)
        let configuration = Trial.configuration(&random)
        var ranks: Int32 = 1
        if case .phased(let rules) = configuration.stack { ranks = rules.dataParallelRanks }
        let coarse = random.chance(30)
        let table = randomTable(
            &random, maxTokens: 1200, maxSequences: Int(configuration.maxSequences) + 2, coarse: coarse)
        let hashes = HashStore()
        let operations = Trial.operations(&random, configuration, grain: coarse ? 1_000_000 : 1, hashes)
        let engine = Replica(number: 7, configuration: configuration, table: table)
        let oracle = SteppingReplica(number: 7, configuration: configuration, table: table)
        var engineSink = RecordingSink()
        var oracleSink = RecordingSink()
        var live: [UInt64] = []
        var requests: [Request] = []
        for operation in operations {
            oracle.advance(until: operation.at - 1, into: &oracleSink)
            if engine.nextEventNanoseconds < operation.at || random.chance(20) {
                advance(engine, until: operation.at - 1, into: &engineSink)
            }
            switch operation.action {
            case .submit(let request):
                engine.submit(request, at: operation.at)
                oracle.submit(request, at: operation.at)
                live.append(request.id)
                requests.append(request)
            case .cancel:
                guard let victim = live.randomElement(using: &random) else { continue }
                advance(engine, until: operation.at, into: &engineSink)
                oracle.advance(until: operation.at, into: &oracleSink)
                let found = engine.cancel(requestID: victim, at: operation.at)
                if found != oracle.cancel(requestID: victim, at: operation.at) { return "cancel(\(victim)) differs" }
            case .look:
                advance(engine, until: operation.at, into: &engineSink)
                oracle.advance(until: operation.at, into: &oracleSink)
                for request in requests.suffix(3)
                where request.prefix.blockHashCount > 0 && ranks == 1
                    && engine.cachedPromptTokens(of: request) != oracle.cachedPromptTokens(of: request)
                {
                    return
                        "cached tokens of \(request.id) at \(operation.at): \(engine.cachedPromptTokens(of: request))"
                }
                if engine.load != oracle.load { return "load at \(operation.at): \(engine.load) is not \(oracle.load)" }
            }
        }
        // Each by its own events: the engine's are far apart.
        for _ in 0..<1_000_000 {
            let next = engine.nextEventNanoseconds
            if next == .max { break }
            advance(engine, until: next, into: &engineSink)
        }
        oracle.advance(until: .max - 1, into: &oracleSink)
        return Trial.difference(engine, engineSink, oracle, oracleSink)
            ?? (engineSink.completions.count == live.count
                ? nil : "\(live.count) requests, \(engineSink.completions.count) completions")
    }

    /// Odd seeds go through a buffer, and ask for the replica's memory in advance.
    private func advance(_ engine: Replica, until now: Int64, into sink: inout RecordingSink) {
        guard seed % 2 == 1 else { return engine.advance(until: now, into: &sink) }
        for distance in [Foresight.far, .middle, .near] { engine.foresee(distance) }
        var buffer = OutcomeBuffer()
        defer { buffer.deallocate() }
        engine.advance(until: now, into: &buffer)
        for index in 0..<buffer.count {
            switch buffer[index] {
            case .completed(let completion): sink.completed(completion)
            case .produced(let token): sink.produced(token)
            case .gaps(let first, let increment, let steps, let count):
                sink.gaps(firstPicoseconds: first, incrementPicoseconds: increment, steps: steps, count: count)
            }
        }
    }

    private static func difference(
        _ engine: Replica, _ engineSink: RecordingSink, _ oracle: SteppingReplica, _ oracleSink: RecordingSink
    ) -> String? {
        for (mine, its) in zip(engineSink.completions, oracleSink.completions) where mine != its {
            return "completion \(mine)\nis not \(its)"
        }
        for (mine, its) in zip(engineSink.tokens, oracleSink.tokens) where mine != its {
            return "token \(mine)\nis not \(its)"
        }
        if engineSink.completions.count != oracleSink.completions.count { return "different numbers of completions" }
        if engineSink.tokens.count != oracleSink.tokens.count { return "different numbers of tokens" }
        if engineSink.gapCounts != oracleSink.gapCounts {
            let off = Set(engineSink.gapCounts.keys).union(oracleSink.gapCounts.keys).sorted()
                .filter { engineSink.gapCounts[$0] != oracleSink.gapCounts[$0] }
            return
                "gaps differ at \(off.prefix(5)): \(off.prefix(5).map { "\(engineSink.gapCounts[$0] ?? 0)/\(oracleSink.gapCounts[$0] ?? 0)" })"
        }
        if engine.usage != oracle.usage { return "usage \(engine.usage)\nis not \(oracle.usage)" }
        if engine.load != oracle.load { return "final load differs: \(engine.load)" }
        return nil
    }

    enum Action { case submit(Request), cancel, look }
    struct Operation {
        var at: Int64
        var action: Action
    }

    static func configuration(_ random: inout SplitMix64) -> ReplicaConfiguration {
        let blockTokens = [1, 3, 4, 16, 16, 32].randomElement(using: &random)!
        let maxModelTokens = random.int32(24...400)
        let perSequence = (maxModelTokens + Int32(blockTokens) - 1) / Int32(blockTokens)
        var configuration = ReplicaConfiguration(
            maxSequences: random.int32(1...24), maxModelTokens: maxModelTokens,
            maxBatchedTokens: random.int32(24...300),
            kvBlocks: perSequence + random.int32(2...perSequence * 6 + 2), kvBlockTokens: Int32(blockTokens))
        if random.chance(30) { configuration.watermarkBlocks = random.int32(0...1) }
        if random.chance(30) { configuration.queueOrder = .priority }
        if random.chance(50) { configuration.prefixCaching = .blocks }
        if random.chance(30) { configuration.prefixLifetimeNanoseconds = Int64(random.int32(1...2_000_000_000)) }
        if random.chance(20) {
            configuration.adapters = AdapterRules(
                maxResident: random.int32(1...3), loadPicoseconds: Int64(random.int32(0...9)) * 7_000_000_000)
        }
        if random.chance(20) {
            let drafts = random.int32(1...5)
            configuration.speculation = SpeculationRules(
                draftTokens: drafts,
                acceptanceShifted32: (0..<drafts).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) },
                draftPicoseconds: Int64(random.int32(0...1_000_000)), draftNanojoules: 5, seed: 3,
                stepScaleShifted16: Int64(random.int32(60000...200000)))
            configuration.maxBatchedTokens = max(
                configuration.maxBatchedTokens, configuration.maxSequences * (drafts + 1))
        }
        if random.chance(15) { configuration.role = random.chance(50) ? .prefillOnly : .decodeOnly }
        if random.chance(30) {
            configuration.hostKVBlocks = random.int32(1...3 * configuration.kvBlocks)
            configuration.hostTransferPicosecondsPerBlock = Int64(random.int32(0...3)) * 1_000_000_000
        }
        switch random.int32(0...9) {
        case 0...4:
            var rules = MixedRules()
            if random.chance(30) { rules.asyncScheduling = true }
            if random.chance(30) { rules.longPrefillTokenThreshold = random.int32(1...60) }
            if random.chance(30) { rules.longPrefillAdaptive = true }
            if random.chance(30) { rules.reserveFullSequence = false }
            if random.chance(20) { rules.maxActiveSequences = random.int32(1...8) }
            if random.chance(20) { rules.prefillScheduleInterval = random.int32(2...5) }
            if random.chance(20) {
                rules.chunkedPrefill = false
                configuration.maxBatchedTokens = max(configuration.maxBatchedTokens, maxModelTokens)
            }
            configuration.stack = .mixed(rules)
        case 5...7:
            var rules = PhasedRules()
            if random.chance(50) { rules.prefillBuckets = PhasedRules.powersOfTwo(from: 16, to: 512) }
            if random.chance(50) { rules.contextBuckets = PhasedRules.powersOfTwo(from: 32, to: maxModelTokens) }
            if random.chance(50) && !rules.contextBuckets.isEmpty {
                rules.batchBuckets = PhasedRules.powersOfTwo(from: 1, to: configuration.maxSequences)
            }
            if random.chance(50) && configuration.speculation == nil { rules.admission = .requestMaximum }
            if random.chance(40) && !rules.contextBuckets.isEmpty {
                rules.admission = .wholeContext
                rules.dataParallelRanks = random.int32(2...5)
            }
            configuration.stack = .phased(rules)
        case 8:
            configuration.queueOrder = .firstComeFirstServed
            configuration.prefixCaching = .off
            configuration.adapters = nil
            configuration.speculation = nil
            configuration.role = .whole
            configuration.stack = .sarathi(chunkTokens: random.int32(24...300))
        default:
            configuration.queueOrder = .firstComeFirstServed
            configuration.prefixCaching = .off
            configuration.adapters = nil
            configuration.speculation = nil
            configuration.role = .whole
            configuration.stack = .vllmV0
            configuration.maxBatchedTokens = max(configuration.maxBatchedTokens, maxModelTokens)
        }
        return configuration
    }

    static func operations(
        _ random: inout SplitMix64, _ configuration: ReplicaConfiguration, grain: Int64,
        _ hashes: HashStore
    ) -> [Operation] {
        let count = random.int32(1...70)
        let spacing = Double([0, 1_000_000, 20_000_000, 200_000_000, 2_000_000_000].randomElement(using: &random)!)
        let streams: Int32 = [0, 0, 20, 100].randomElement(using: &random)!
        let cancels: Int32 = random.chance(40) ? 15 : 0
        let priorities = configuration.queueOrder == .priority ? random.int32(0...3) : 0
        var operations: [Operation] = []
        var now = grain
        for id in 0..<UInt64(count) {
            now += Int64(random.exponential() * spacing) / grain * grain
            if random.chance(cancels) { operations.append(Operation(at: now, action: .cancel)) }
            if random.chance(15) { operations.append(Operation(at: now, action: .look)) }
            let prompt = random.int32(1...configuration.maxModelTokens)
            var request = Request(
                id: id, arrivalNanoseconds: max(0, now - Int64(random.int32(0...1000))), promptTokens: prompt,
                outputTokens: random.int32(1...max(1, configuration.maxModelTokens / 2)))
            request.maxOutputTokens = request.outputTokens + random.int32(0...20)
            request.adapter = configuration.adapters == nil ? 0 : UInt16(random.int32(0...6))
            request.priority = random.int32(0...priorities)
            if random.chance(streams) { request.flags = .streams }
            if configuration.prefixCaching == .blocks && random.chance(80) {
                request.prefix = hashes.prefix(promptTokens: prompt, blockTokens: configuration.kvBlockTokens, &random)
            }
            operations.append(Operation(at: now, action: .submit(request)))
        }
        return operations
    }
}

/// Chained block hashes of prompts that branch off each other, kept for the length of a trial.
final class HashStore {
    private var chains: [UnsafeMutablePointer<UInt64>] = []
    private var lengths: [Int] = []
    private var fresh: UInt64 = 1

    deinit { for chain in chains { chain.deallocate() } }

    /// Starts like an earlier prompt, up to a random block, or like none.
    func prefix(promptTokens: Int32, blockTokens: Int32, _ random: inout SplitMix64) -> PrefixIdentity {
        let count = Int((promptTokens + blockTokens - 1) / blockTokens)
        let chain = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        var shared = 0
        if !chains.isEmpty && random.chance(75) {
            let other = Int.random(in: 0..<chains.count, using: &random)
            shared =
                random.chance(40)
                ? min(count, lengths[other]) : Int.random(in: 0...min(count, lengths[other]), using: &random)
            for index in 0..<shared { chain[index] = chains[other][index] }
        }
        for index in shared..<max(count, shared) {
            chain[index] = fresh
            fresh += 1
        }
        chains.append(chain)
        lengths.append(count)
        return PrefixIdentity(
            blockHashes: UnsafePointer(chain), blockHashCount: Int32(count), tokensPerHash: blockTokens, session: 0,
            sessionTokens: 0, sharedHeadTokens: 0, sharedHead: 0)
    }
}
