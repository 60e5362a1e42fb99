/// An all-reduce, fitted: `seconds = alphaSeconds + secondsPerByte * bytes`, bytes being the message of one rank.
public struct AllReduceFit: Sendable, Hashable, Encodable {
    /// Id of the accelerator.
    public var accelerator: String
    /// Whose kernel: `vllm-0.24.0`, `trtllm-1.3.0rc20`, `nccl-2.29.2`.
    public var software: String
    /// `graph` (replayed from a CUDA graph), `eager` (launched one by one), `nccl`, `kernel` (TensorRT-LLM's own).
    public var launch: String
    public var ranks: Int
    public var alphaSeconds: Double
    public var secondsPerByte: Double
    /// Measured at the smallest message of the sweep.
    public var smallestSeconds: Double
    /// Bytes over time at the largest message.
    public var largeMessageBytesPerSecond: Double
    public var grade: Grade
    public var source: String
    public var date: CalendarDay

    public func seconds(bytes: Double) -> Double { alphaSeconds + secondsPerByte * bytes }
}

/// What fraction of peak matrix multiplications of one precision reach, over thousands of measured shapes.
public struct MatrixEfficiency: Sendable, Hashable, Encodable {
    /// Id of the accelerator.
    public var accelerator: String
    public var software: String
    /// `bf16`, `fp8`, `fp8-block` (128 x 128 scales) or `nvfp4`.
    public var format: String
    /// Shapes in the sweep.
    public var shapes: Int
    /// Of peak FLOP/s, where m is 2048 or more and n, k lie in 4k...64k: half of the shapes reach this, one in ten the
    /// next.
    public var computeMedian: Double
    public var computeTopTenth: Double
    public var computeMaximum: Double
    /// Of peak bandwidth, where m is 8 or less and n * k is 5e7 or more.
    public var memoryMedian: Double
    public var memoryTopTenth: Double
    public var memoryMaximum: Double
    /// The shortest that any shape took.
    public var floorSeconds: Double
    public var grade: Grade
    public var source: String
    public var date: CalendarDay
}
