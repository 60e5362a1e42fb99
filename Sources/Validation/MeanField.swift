//===----------------------------------------------------------------------===//
// Steady states in closed form.
//===----------------------------------------------------------------------===//

import Foundation
import StepModel

/// Predicts a run's means from single steps, without simulating requests.
///
/// In a steady state with `n` sequences running, each of which produces `output` tokens, every other sequence is
/// replaced once while one decodes, so each decode step carries on average `n / output` prompts:
///
///     mixed:   TPOT = decode + (n − 1) / output × what a prompt's chunks add to the steps that carry them
///     phased:  TPOT = decode + (n − 1) / output × prefill, for a prefill pauses every decode
///
/// It is what calibration fits, because it is smooth and fast; validation simulates where requests meet.
struct MeanField {
    let predictor: StepPredictor
    let prompt: Double
    let output: Double

    struct State {
        /// Sequences that run at once.
        var running: Double
        /// Seconds of a step that only decodes, and of the mean step.
        var decodeSeconds: Double
        var tpot: Double
        /// Seconds from scheduling to the first token.
        var firstToken: Double
        /// Chip joules of the mean step.
        var stepJoules: Double
        var meanStepSeconds: Double
        var endToEnd: Double { firstToken + (output - 1) * tpot }
        var output: Double
    }

    /// What one prompt adds to the steps that carry it while `running` others decode.
    private func promptAddition(
        running: Double, context: Double, alone: StepPredictor.Prediction
    ) -> (
        seconds: Double, joules: Double, ownSeconds: Double
    ) {
        if predictor.isPhased {
            let prefill = predictor.prefill(tokens: prompt)
            return (prefill.seconds, prefill.joules, prefill.seconds)
        }
        var seconds = 0.0
        var joules = 0.0
        var own = 0.0
        var done = 0.0
        let room = max(1, Double(predictor.maxBatchedTokens) - running)
        while done < prompt {
            let chunk = min(prompt - done, room)
            let step = predictor.mixedStep(
                sequences: running, context: context, chunkTokens: chunk, chunkContext: done,
                completing: done + chunk >= prompt ? 1 : 0)
            seconds += step.seconds - alone.seconds
            joules += step.joules - alone.joules
            own += step.seconds
            done += chunk
        }
        return (seconds, joules, own)
    }

    /// The steady state with `running` sequences.
    func state(running: Double) -> State {
        let context = prompt + output / 2
        let decode = predictor.decodeStep(sequences: running, context: context)
        let addition = promptAddition(running: running, context: context, alone: decode)
        let others = max(0, running - 1) / max(output, 1)
        let every = running / max(output, 1)
        return State(
            running: running,
            decodeSeconds: decode.seconds,
            tpot: decode.seconds + others * addition.seconds,
            firstToken: addition.ownSeconds,
            stepJoules: decode.joules + every * addition.joules,
            meanStepSeconds: decode.seconds + every * addition.seconds,
            output: output
        )
    }

    /// Most sequences that can run at once: slots, and KV tokens over the length of a sequence.
    var mostRunning: Double {
        max(1, min(Double(predictor.maxSequences), (Double(predictor.cacheTokens) / (prompt + output)).rounded(.down)))
    }

    // MARK: Experiments

    /// Whether a static batch was measured faster than peak arithmetic, or ended in under half of the steps that its
    /// nominal output takes at peak bandwidth.
    func isImpossible(_ experiment: Experiment) -> Bool {
        guard case .staticBatch(let batch) = experiment.load else { return false }
        switch experiment.quantity {
        case .prefill:
            return experiment.measured < predictor.batchPrefill(sequences: Double(batch), tokens: prompt).computeSeconds
        case .endToEnd:
            let step = predictor.decodeStep(sequences: Double(batch), context: prompt).seconds
            return !predictor.isPhased && experiment.measured < 0.5 * output * step
        default: return false
        }
    }

    /// The quantity that `experiment` reports.
    func predict(_ experiment: Experiment) -> Double? {
        let request = predictor.coefficients[.requestSeconds]
        switch experiment.load {
        case .idle:
            let idle = predictor.chipWatts.idle / Double(predictor.chips)
            return experiment.quantity == .idleWallPower ? predictor.instanceWallWatts(chipWatts: idle) : nil
        case .saturated:
            let cap = predictor.chipWatts.cap / Double(predictor.chips)
            if experiment.quantity == .wallPower { return predictor.instanceWallWatts(chipWatts: cap) }
            if experiment.quantity == .chipPower { return peakPower(experiment) }
            return nil
        case .staticBatch(let batch): return staticBatch(experiment, batch: Double(batch))
        case .decodeOnly(let running): return steady(experiment, state: state(running: running))
        case .closedLoop(let clients):
            let each = max(1, Double(clients) / Double(experiment.replicas))
            let state = state(running: min(each, mostRunning))
            return server(experiment, state: state, clients: each, open: Double(clients), request: request)
        case .rate(let rate):
            let each = rate / Double(experiment.replicas)
            var running = 1.0
            for _ in 0..<40 {
                let wanted = each * (state(running: running).endToEnd + request)
                running += (min(max(wanted, 1), mostRunning) - running) * 0.5
            }
            let state = state(running: running)
            return server(
                experiment, state: state, clients: running, open: running * Double(experiment.replicas),
                request: request)
        }
    }

    /// The highest power of a run of one static batch is that of its prefill.
    private func peakPower(_ experiment: Experiment) -> Double {
        let batch = Double(experiment.row.batch) ?? 1
        let prefill = predictor.batchPrefill(sequences: batch, tokens: prompt)
        let decode = predictor.decodeStep(sequences: batch, context: prompt + output / 2)
        return max(prefill.joules / prefill.seconds, decode.joules / decode.seconds)
    }

    private func staticBatch(_ experiment: Experiment, batch: Double) -> Double? {
        let prefill = predictor.batchPrefill(sequences: batch, tokens: prompt)
        let decode = predictor.decodeStep(sequences: batch, context: prompt + output / 2)
        let total = prefill.seconds + (output - 1) * decode.seconds
        switch experiment.quantity {
        case .tpot, .interTokenLatency: return decode.seconds
        case .ttft, .prefill: return prefill.seconds
        case .endToEnd: return total
        case .outputThroughput:
            return experiment.countsDecodingOnly ? batch / decode.seconds : batch * output / total
        case .requestSpeed: return output / total
        case .requestThroughput: return batch / total
        case .totalThroughput: return batch * (prompt + output) / total
        case .latencyPerToken: return total / output
        case .chipPower: return (prefill.joules + (output - 1) * decode.joules) / total
        case .energyPerToken: return (prefill.joules + (output - 1) * decode.joules) / (batch * output)
        case .energyPerRequest: return (prefill.joules + (output - 1) * decode.joules) / batch
        case .wallPower, .idleWallPower: return nil
        }
    }

    /// A server watched in its steady state, as ML.ENERGY does.
    private func steady(_ experiment: Experiment, state: State) -> Double? {
        switch experiment.quantity {
        case .interTokenLatency:
            // The median gap is a decode step while fewer than half of the steps carry prompts. Prompts come nearly as a
            // Poisson process and most are far shorter than their mean: of n prompts a step the median is about n − ln 2.
            let prompts = state.running / max(output, 1)
            let each = prompts > 0 ? (state.meanStepSeconds - state.decodeSeconds) / prompts : 0
            return state.decodeSeconds + max(0, prompts - log(2)) * each
        case .tpot: return state.tpot
        case .outputThroughput: return state.running / state.meanStepSeconds
        case .requestThroughput: return state.running / state.meanStepSeconds / output
        case .energyPerToken: return state.stepJoules / state.running
        case .energyPerRequest: return state.stepJoules / state.running * output
        case .chipPower: return state.stepJoules / state.meanStepSeconds
        case .endToEnd: return state.endToEnd
        case .ttft, .prefill: return state.firstToken
        case .requestSpeed: return 1 / state.tpot
        case .latencyPerToken: return state.endToEnd / output
        case .totalThroughput: return state.running * (prompt + output) / (state.meanStepSeconds * output)
        case .wallPower, .idleWallPower: return nil
        }
    }

    /// A server with clients before it; clients beyond what runs wait their turn.
    private func server(
        _ experiment: Experiment, state: State, clients: Double, open: Double, request: Double
    ) -> Double? {
        let replicas = max(1, min(Double(experiment.replicas), open))
        let residence = state.endToEnd + request
        let throughput = state.running / residence
        let waiting = max(0, clients - state.running) / throughput
        let first = state.firstToken + request + waiting + (clients > 1 ? state.decodeSeconds / 2 : 0)
        switch experiment.quantity {
        case .tpot, .interTokenLatency: return state.tpot
        case .ttft, .prefill: return first
        case .endToEnd: return residence + waiting
        case .outputThroughput: return throughput * output * replicas * experiment.countedTokensPerToken
        case .requestThroughput: return throughput * replicas
        case .totalThroughput: return throughput * (prompt + output) * replicas
        case .requestSpeed: return output / (residence + waiting)
        case .latencyPerToken: return (residence + waiting) / output / experiment.countedTokensPerToken
        case .energyPerToken: return state.stepJoules / state.running
        case .energyPerRequest: return state.stepJoules / state.running * output
        case .chipPower: return state.stepJoules / state.meanStepSeconds * replicas
        case .wallPower, .idleWallPower: return nil
        }
    }
}
