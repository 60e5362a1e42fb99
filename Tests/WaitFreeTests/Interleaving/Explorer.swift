/// Looks for a run of a trial that goes wrong.
struct Explorer {
    var limits = World.Limits()

    /// A run that went wrong, with as few changes of turn and delayed stores as could be found.
    struct Failure: CustomStringConvertible {
        var message: String
        var script: [Int]
        var trace: [String]
        var description: String {
            "\(message)\n" + trace.enumerated().map { "  \($0.offset + 1). \($0.element)" }.joined(separator: "\n")
        }
    }

    struct Outcome: CustomStringConvertible {
        var runs: Int
        var steps: Int
        /// Whether every run within the limits was tried.
        var isComplete: Bool
        var failure: Failure?
        var description: String {
            let size = "\(runs) interleavings, \(steps) steps\(isComplete ? ", exhaustive" : "")"
            guard let failure else { return "ok: \(size)" }
            return "failed after \(size): \(failure)"
        }
    }

    /// Tries every run within the limits, depth first, up to the first that fails.
    func exhaust(mostRuns: Int = 2_000_000, _ makeTrial: (World) -> Trial) -> Outcome {
        var script: [Int] = []
        var runs = 0
        var steps = 0
        while runs < mostRuns {
            let world = World(limits: limits, decisions: Decisions(script: script), recordsTrace: false)
            let problem = world.run(makeTrial)
            runs += 1
            steps += world.steps
            if problem != nil {
                let failure = shrink(world.made.map(\.pick), makeTrial)
                return Outcome(runs: runs, steps: steps, isComplete: false, failure: failure)
            }
            var made = world.made
            while let last = made.last, last.pick + 1 == last.of { made.removeLast() }
            guard let last = made.last else { return Outcome(runs: runs, steps: steps, isComplete: true, failure: nil) }
            script = made.dropLast().map(\.pick) + [last.pick + 1]
        }
        return Outcome(runs: runs, steps: steps, isComplete: false, failure: nil)
    }

    /// Tries runs with decisions from a seed, up to the first that fails.
    func sample(runs wanted: Int, seed: UInt64, _ makeTrial: (World) -> Trial) -> Outcome {
        var seeds = SeededGenerator(seed: seed)
        var steps = 0
        for run in 0..<wanted {
            let decisions = Decisions(rest: .random(SeededGenerator(seed: seeds.next())))
            let world = World(limits: limits, decisions: decisions, recordsTrace: false)
            let problem = world.run(makeTrial)
            steps += world.steps
            if problem != nil {
                let failure = shrink(world.made.map(\.pick), makeTrial)
                return Outcome(runs: run + 1, steps: steps, isComplete: false, failure: failure)
            }
        }
        return Outcome(runs: wanted, steps: steps, isComplete: false, failure: nil)
    }

    /// Runs a script with its trace.
    func replay(_ script: [Int], _ makeTrial: (World) -> Trial) -> (problem: String?, trace: [String]) {
        let world = World(limits: limits, decisions: Decisions(script: script), recordsTrace: true)
        return (world.run(makeTrial), world.trace)
    }

    /// A script that still fails, in which no decision can be dropped or replaced by the first possibility.
    private func shrink(_ failing: [Int], _ makeTrial: (World) -> Trial) -> Failure {
        func fails(_ script: [Int]) -> Bool {
            World(limits: limits, decisions: Decisions(script: script), recordsTrace: false).run(makeTrial) != nil
        }
        var script = failing
        var shrinks = true
        while shrinks {
            shrinks = false
            var width = max(1, script.count / 2)
            while width >= 1 {
                var start = 0
                while start < script.count {
                    var shorter = script
                    shorter.removeSubrange(start..<min(start + width, script.count))
                    if fails(shorter) {
                        script = shorter
                        shrinks = true
                    } else {
                        start += width
                    }
                }
                width /= 2
            }
            for index in script.indices where script[index] != 0 {
                var plainer = script
                plainer[index] = 0
                if fails(plainer) {
                    script = plainer
                    shrinks = true
                }
            }
        }
        while script.last == 0 { script.removeLast() }
        let (problem, trace) = replay(script, makeTrial)
        return Failure(message: problem ?? "the failure does not repeat", script: script, trace: trace)
    }
}
