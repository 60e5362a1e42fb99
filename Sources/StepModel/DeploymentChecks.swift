//===----------------------------------------------------------------------===//
// Settings of a deployment that can be checked without looking anything up.
//===----------------------------------------------------------------------===//

extension Deployment {
    /// Limits that keep a table's size and a search's time bounded.
    static let mostSequences = 4096
    static let mostModelTokens = 4_194_304
    static let mostRanks = 4096

    /// - Throws: `DeploymentError.invalid` for the first setting that cannot be.
    func checkSettings() throws(DeploymentError) {
        func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(DeploymentError) {
            if !condition { throw .invalid(reason()) }
        }
        let ways = [
            ("tensor", parallelism.tensor), ("data", parallelism.data), ("expert", parallelism.expert),
            ("context", parallelism.context), ("pipeline", parallelism.pipeline),
        ]
        for (name, value) in ways {
            try require(
                (1...Self.mostRanks).contains(value),
                "parallelism.\(name) is \(value); it must lie in 1...\(Self.mostRanks)")
        }
        try require(
            parallelism.ranks <= Self.mostRanks,
            "\(parallelism.label) takes \(parallelism.ranks) ranks; the most is \(Self.mostRanks)")
        let expertRanks = parallelism.tensor * parallelism.data
        try require(
            expertRanks.isMultiple(of: parallelism.expert),
            "parallelism.expert is \(parallelism.expert); it must divide tensor × data = \(expertRanks)"
        )
        try require(
            (1...Self.mostSequences).contains(maxSequences),
            "max_num_seqs is \(maxSequences); it must lie in 1...\(Self.mostSequences)"
        )
        try require(
            (1...Self.mostModelTokens).contains(maxModelTokens),
            "max_model_len is \(maxModelTokens); it must lie in 1...\(Self.mostModelTokens)"
        )
        if let maxBatchedTokens {
            try require(
                (1...Self.mostModelTokens).contains(maxBatchedTokens),
                "max_num_batched_tokens is \(maxBatchedTokens); it must lie in 1...\(Self.mostModelTokens)"
            )
        }
        if let blockTokens {
            try require((1...65536).contains(blockTokens), "block_size is \(blockTokens); it must lie in 1...65536")
        }
        if let memoryFraction {
            try require(
                memoryFraction > 0 && memoryFraction <= 1,
                "the memory fraction is \(memoryFraction); it must lie in 0...1")
        }
        if let cacheFraction {
            try require(
                cacheFraction > 0 && cacheFraction <= 1, "the KV fraction is \(cacheFraction); it must lie in 0...1")
        }
        for (name, buckets) in [("context_buckets", contextBuckets), ("prefill_buckets", prefillBuckets)] {
            guard let buckets else { continue }
            try require(!buckets.isEmpty && buckets.allSatisfy { $0 > 0 }, "\(name) must be positive lengths")
        }
        if let contextBuckets {
            try require(
                contextBuckets.allSatisfy { $0.isMultiple(of: 128) },
                "context_buckets must be multiples of 128 (vLLM-neuron's rule)")
        }
        if let speculation {
            try require(
                (1...16).contains(speculation.proposedTokens),
                "speculation proposes \(speculation.proposedTokens) tokens; it must lie in 1...16"
            )
            try require(
                speculation.acceptedLength >= 1 && speculation.acceptedLength <= Double(speculation.proposedTokens + 1),
                "an accepted length of \(speculation.acceptedLength) is not in 1...\(speculation.proposedTokens + 1)"
            )
        }
        if let chipPowerCapWatts { try require(chipPowerCapWatts > 0, "the chip power cap must be above 0 W") }
    }
}
