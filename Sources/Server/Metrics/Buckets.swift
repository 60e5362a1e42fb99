//===----------------------------------------------------------------------===//
// Histogram buckets: vLLM's, and finer ones of our own.
//===----------------------------------------------------------------------===//

/// Upper bounds of histogram buckets.
enum Buckets {
    // vLLM 0.33, vllm/v1/metrics: the bounds that dashboards and autoscalers are written against.
    static let vllmTimeToFirstToken: [Double] = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
        2560,
    ]
    static let vllmTokenLatency: [Double] = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ]
    static let vllmRequestLatency: [Double] = [
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ]
    static let vllmChoices: [Double] = [1, 2, 5, 10, 20]
    static let vllmPreemptions: [Double] = [1, 2, 3, 4, 5, 10, 20]

    /// vLLM's 1-2-5 series of token counts up to the model's context.
    static func vllmTokens(upTo limit: Int) -> [Double] {
        var bounds: [Double] = []
        var decade = 1
        while true {
            for factor in [1, 2, 5] {
                let bound = decade * factor
                if bound > limit { return bounds.isEmpty ? [1] : bounds }
                bounds.append(Double(bound))
            }
            decade *= 10
        }
    }

    /// Durations from 100 µs to 1,000 s, three or four a decade: fine enough for a fast accelerator's token gaps, which
    /// all fall into vLLM's first bucket.
    static let fineSeconds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1,
        0.15, 0.25, 0.5, 1, 2.5,
        5, 10, 25, 50, 100, 250, 500, 1000,
    ]

    /// Lateness of the emulation itself, from 10 µs to 10 s.
    static let lagSeconds: [Double] = [
        0.00001, 0.00002, 0.00003, 0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015,
        0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10,
    ]
}
