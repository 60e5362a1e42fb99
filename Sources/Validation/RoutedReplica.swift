//===----------------------------------------------------------------------===//
// Text Generation Inference on Neuron: a router before compiled slots.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

/// A replica behind the router of Text Generation Inference, which decides differently from the phased engine:
///
/// - while sequences decode, waiting requests are prefilled only when there are at least `waitingRatio` × running ones,
///   or when 20 tokens have passed since the last prefill;
/// - all that are taken prefill together, and their first tokens leave when the last of them is done;
/// - the server selects, decodes and streams the token of each live sequence in a Python loop, beside the compiled step.
final class RoutedReplica: ServedReplica {
    /// Tokens after which the router stops waiting for more requests (`max_waiting_tokens`).
    static let mostWaitingTokens = 20

    private struct Sequence {
        var request: Request
        var arrival: Int64
        var scheduled: Int64 = 0
        var firstToken: Int64 = -1
        var produced: Int32 = 0
        var isCancelled = false
    }

    private let number: Int32
    private let slots: Int
    private let waitingRatio: Double
    private let livePicoseconds: Int64
    private let stallPicoseconds: Int64
    /// Cost of one decode step of the compiled slots at the compiled context.
    private let decode: StepCost
    private let prefill: (Int32) -> StepCost
    private var waiting: [Sequence] = []
    private var running: [Sequence] = []
    private var prefilling: [Sequence] = []
    private var tokensSincePrefill = 0
    /// The last prefill found others decoding, which resume late.
    private var interrupted = false
    private var stepEnd: Int64 = .max
    private var cancelled: [Completion] = []
    private var nanojoules: Int64 = 0

    /// - Parameters:
    ///   - waitingRatio: the router's `waiting_served_ratio`: 1.2 until TGI 1.4, 0.3 since.
    ///   - coefficients: host work of live sequences, and what they wait after a prefill beside them.
    init(number: Int32, compiled: CompiledDeployment, waitingRatio: Double, coefficients: Coefficients) {
        precondition(compiled.isPhased && !compiled.decodeBuckets.isEmpty)
        self.number = number
        self.waitingRatio = waitingRatio
        slots = compiled.maxSequences
        livePicoseconds = Int64(coefficients[.liveSequenceSeconds] * 1e12)
        stallPicoseconds = Int64(coefficients[.prefillStallSeconds] * 1e12)
        var shape = StepShape()
        let context = Int32(compiled.maxModelTokens)
        for _ in 0..<compiled.decodeBuckets.last! { shape.addDecode(contextTokens: context) }
        decode = compiled.table.cost(of: shape)
        let buckets = compiled.prefillBuckets
        let table = compiled.table
        prefill = { tokens in
            var shape = StepShape()
            let bucket = buckets.first { $0 >= Int(tokens) } ?? buckets.last!
            shape.addPrefill(chunkTokens: Int32(bucket), contextTokens: 0, completes: true)
            return table.cost(of: shape)
        }
    }

    var nextEventNanoseconds: Int64 { cancelled.isEmpty ? stepEnd : 0 }
    var activeJoules: Double { Double(nanojoules) * 1e-9 }
    var outstandingTokens: Int64 {
        (waiting + prefilling + running).reduce(0) {
            $0 + Int64($1.request.outputTokens - $1.produced) + ($1.produced == 0 ? Int64($1.request.promptTokens) : 0)
        }
    }

    func submit(_ request: Request, at nowNanoseconds: Int64) {
        waiting.append(Sequence(request: request, arrival: nowNanoseconds))
        if stepEnd == .max { startStep(at: nowNanoseconds) }
    }

    func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool {
        if let position = waiting.firstIndex(where: { $0.request.id == requestID }) {
            cancelled.append(completion(waiting.remove(at: position), at: nowNanoseconds, .cancelled))
            return true
        }
        if let position = running.firstIndex(where: { $0.request.id == requestID }) {
            running[position].isCancelled = true
            return true
        }
        return false
    }

    func collect(until nowNanoseconds: Int64, into sink: inout CompletionCollector) {
        for completion in cancelled { sink.completed(completion) }
        cancelled.removeAll()
        while stepEnd <= nowNanoseconds { endStep(into: &sink) }
    }

    private func endStep(into sink: inout CompletionCollector) {
        let now = stepEnd
        stepEnd = .max
        if prefilling.isEmpty {
            for index in running.indices { running[index].produced += 1 }
            tokensSincePrefill += 1
        } else {
            for index in prefilling.indices {
                prefilling[index].firstToken = now
                prefilling[index].produced = 1
            }
            running += prefilling
            prefilling.removeAll()
            tokensSincePrefill = 1
        }
        for sequence in running where isDone(sequence) {
            sink.completed(completion(sequence, at: now, sequence.isCancelled ? .cancelled : .finished))
        }
        running.removeAll(where: isDone)
        startStep(at: now)
    }

    private func isDone(_ sequence: Sequence) -> Bool {
        sequence.isCancelled || sequence.produced >= sequence.request.outputTokens
    }

    private func startStep(at now: Int64) {
        let taken = admitted()
        var cost: StepCost
        if taken > 0 {
            prefilling = Array(waiting.prefix(taken))
            waiting.removeFirst(taken)
            cost = StepCost(picoseconds: 0, nanojoules: 0)
            interrupted = !running.isEmpty
            for index in prefilling.indices {
                prefilling[index].scheduled = now
                let one = prefill(prefilling[index].request.promptTokens)
                cost.picoseconds += one.picoseconds
                cost.nanojoules += one.nanojoules
            }
        } else if !running.isEmpty {
            cost = decode
            cost.picoseconds += livePicoseconds * Int64(running.count) + (interrupted ? stallPicoseconds : 0)
            interrupted = false
        } else {
            return
        }
        nanojoules += cost.nanojoules
        stepEnd = now + max(1, cost.picoseconds / 1000)
    }

    /// How many waiting requests the router takes now.
    private func admitted() -> Int {
        let most = min(waiting.count, slots - running.count)
        guard most > 0 else { return 0 }
        guard !running.isEmpty, tokensSincePrefill < Self.mostWaitingTokens else { return most }
        return waiting.count >= Int(Double(running.count) * waitingRatio) ? most : 0
    }

    private func completion(_ sequence: Sequence, at now: Int64, _ status: Completion.Status) -> Completion {
        Completion(
            requestID: sequence.request.id, arrivalNanoseconds: sequence.arrival,
            scheduledNanoseconds: sequence.scheduled, firstTokenNanoseconds: sequence.firstToken,
            lastTokenNanoseconds: now, promptTokens: sequence.request.promptTokens, cachedPromptTokens: 0,
            outputTokens: sequence.produced, preemptions: 0, replica: number, session: 0, tenant: 0, frontEnd: 0,
            priorityClass: 0, status: status)
    }
}
