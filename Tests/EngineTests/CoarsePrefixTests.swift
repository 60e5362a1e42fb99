//===----------------------------------------------------------------------===//
// Coarse hashes and conversations: what must hold whatever the trial.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Testing
import Workload

/// The oracle knows blocks of one size only. For everything coarser: how a replica is looked at changes nothing, every
/// request ends, and all memory comes back.
@Suite struct CoarsePrefixTests {
    @Test(arguments: 0..<10 as Range<UInt64>)
    func memoryComesBackAndLookingChangesNothing(batch: UInt64) {
        for index in 0..<30 as Range<UInt64> {
            let seed = 900_000 + batch * 1000 + index
            if let problem = problem(seed: seed) {
                Issue.record("seed \(seed): \(problem)")
                return
            }
        }
    }

    private func problem(seed: UInt64) -> String? {
        var random = SplitMix64(seed: seed)
        var configuration = Trial.configuration(&random)
        switch configuration.stack {
        case .sarathi, .vllmV0: return nil
        case .mixed, .phased: configuration.prefixCaching = random.chance(50) ? .sessions : .blocks
        }
        let table = randomTable(
            &random, maxTokens: 1200, maxSequences: Int(configuration.maxSequences) + 2, coarse: random.chance(30))
        let hashes = Hashes()
        let requests = requests(&random, configuration, hashes)
        let seldom = Replica(number: 0, configuration: configuration, table: table)
        let often = Replica(number: 0, configuration: configuration, table: table)
        var seldomSink = RecordingSink()
        var oftenSink = RecordingSink()
        for request in requests {
            let now = request.arrivalNanoseconds
            if seldom.nextEventNanoseconds < now { seldom.advance(until: now - 1, into: &seldomSink) }
            var time = often.nextEventNanoseconds
            while time < now {
                often.advance(until: time, into: &oftenSink)
                time = min(often.nextEventNanoseconds, time + Int64(random.int32(1...20_000_000)))
            }
            often.advance(until: now - 1, into: &oftenSink)
            let total = often.load.totalKVBlocks
            if often.load.freeKVBlocks < 0 || often.load.freeKVBlocks > total { return "\(often.load)" }
            seldom.submit(request, at: now)
            often.submit(request, at: now)
        }
        var flights = 0
        while seldom.nextEventNanoseconds < .max {
            seldom.advance(until: seldom.nextEventNanoseconds, into: &seldomSink)
            flights += 1
            if flights > 200_000 { return "does not come to an end: \(seldom.load), \(seldom.usage), \(configuration)" }
        }
        often.advance(until: .max - 1, into: &oftenSink)
        if seldomSink.completions != oftenSink.completions {
            return "completions depend on when the replica is advanced"
        }
        if seldomSink.gapCounts != oftenSink.gapCounts || seldom.usage != often.usage { return "gaps or usage do" }
        if seldomSink.completions.count != requests.count {
            return "\(seldomSink.completions.count) of \(requests.count) ended"
        }
        if seldom.load.freeKVBlocks != seldom.load.totalKVBlocks { return "blocks are missing: \(seldom.load)" }
        if seldom.load.outstandingTokens != 0 { return "work is left: \(seldom.load)" }
        return nil
    }

    /// Conversations that grow, are cut back and overlap, and prompts with hashes of another size than the blocks'.
    func requests(
        _ random: inout SplitMix64, _ configuration: ReplicaConfiguration, _ hashes: Hashes
    ) -> [Request] {
        let spacing = Double([1_000_000, 50_000_000, 500_000_000].randomElement(using: &random)!)
        let tokensPerHash = random.int32(1...64)
        var lengths = [Int32](repeating: 0, count: 6)
        var now: Int64 = 1
        return (0..<UInt64(random.int32(1...60))).map { id in
            now += Int64(random.exponential() * spacing)
            let prompt = random.int32(1...configuration.maxModelTokens)
            var request = Request(
                id: id, arrivalNanoseconds: now, promptTokens: prompt,
                outputTokens: random.int32(1...max(1, configuration.maxModelTokens / 3)))
            if random.chance(50) {
                let number = Int(random.int32(0...5))
                request.prefix = session(
                    UInt64(number + 1),
                    tokens: min(prompt, random.chance(70) ? lengths[number] : random.int32(0...prompt)),
                    head: UInt32(number / 3), headTokens: number < 3 ? 0 : min(prompt, 40))
                lengths[number] = prompt + request.outputTokens - 1
            } else {
                let count = (prompt + tokensPerHash - 1) / tokensPerHash
                let branch = UInt64(random.int32(0...4))
                let fork = random.int32(0...count)
                request.prefix = hashes(
                    (0..<count).map { UInt64($0) + ($0 < fork ? 1 : 1000 * (id + branch)) },
                    tokensPerHash: tokensPerHash)
            }
            return request
        }
    }
}
