//===----------------------------------------------------------------------===//
// The wire between prefill and decode replicas.
//===----------------------------------------------------------------------===//

/// Moves the KV of finished prompts from prefill replicas to decode replicas, over NVLink, NeuronLink or EFA.
///
/// Transfers share the link first come, first served: a later one starts when the bytes before it have left. That is
/// what one queue pair per pair of hosts does; several links beside each other are several values of this type.
public struct KVTransferLink: Sendable, Equatable {
    public enum Mode: Sendable, Equatable {
        /// The decode side pulls when the prompt is done (the default of Neuron's disaggregated inference).
        case read
        /// The prefill side pushes each layer as it is done, so only what the link could not keep up with is left at
        /// the end of the prompt, at least the last layer.
        case write(layers: Int32)
    }

    public let mode: Mode
    public let bytesPerSecond: Int64
    public let latencyNanoseconds: Int64
    public let bytesPerToken: Int64
    /// When the last accepted byte has left.
    public private(set) var freeNanoseconds: Int64 = 0
    public private(set) var transfers: Int64 = 0
    public private(set) var bytes: Int128 = 0
    /// Time in which bytes left.
    public private(set) var busyNanoseconds: Int64 = 0

    public init(mode: Mode, bytesPerSecond: Int64, latencyNanoseconds: Int64, bytesPerToken: Int64) {
        precondition(bytesPerSecond > 0 && latencyNanoseconds >= 0 && bytesPerToken > 0)
        if case .write(let layers) = mode { precondition(layers > 0, "a model has at least one layer") }
        self.mode = mode
        self.bytesPerSecond = bytesPerSecond
        self.latencyNanoseconds = latencyNanoseconds
        self.bytesPerToken = bytesPerToken
    }

    /// Hands the KV of one prompt to the link. Calls come in the order in which prompts end.
    ///
    /// - Parameters:
    ///   - tokens: what has to move: the prompt without what the decode side already has.
    ///   - startNanoseconds: when its prefill began.
    ///   - endNanoseconds: when its prefill ended.
    /// - Returns: when all of it has arrived.
    public mutating func transfer(tokens: Int32, startNanoseconds: Int64, endNanoseconds: Int64) -> Int64 {
        precondition(tokens >= 0 && startNanoseconds <= endNanoseconds)
        let amount = Int64(tokens) * bytesPerToken
        transfers += 1
        bytes += Int128(amount)
        busyNanoseconds += Mode.nanoseconds(forBytes: amount, bytesPerSecond: bytesPerSecond)
        freeNanoseconds = mode.departure(
            bytes: amount, bytesPerSecond: bytesPerSecond, freeNanoseconds: freeNanoseconds,
            startNanoseconds: startNanoseconds, endNanoseconds: endNanoseconds)
        return freeNanoseconds + latencyNanoseconds
    }
}

extension KVTransferLink.Mode {
    /// When the last byte of a prompt's KV has left.
    ///
    /// - Parameters:
    ///   - freeNanoseconds: when the wire is free.
    ///   - startNanoseconds: when the prompt's prefill began.
    ///   - endNanoseconds: when it ended.
    public func departure(
        bytes: Int64, bytesPerSecond: Int64, freeNanoseconds: Int64, startNanoseconds: Int64, endNanoseconds: Int64
    ) -> Int64 {
        let duration = Self.nanoseconds(forBytes: bytes, bytesPerSecond: bytesPerSecond)
        switch self {
        case .read:
            return max(freeNanoseconds, endNanoseconds) + duration
        case .write(let layers):
            // The first layer can leave when it is done; the last one not before the prompt's end.
            let firstLayerDone = startNanoseconds + (endNanoseconds - startNanoseconds) / Int64(layers)
            let lastLayer = Self.nanoseconds(
                forBytes: (bytes + Int64(layers) - 1) / Int64(layers), bytesPerSecond: bytesPerSecond)
            return max(max(freeNanoseconds, firstLayerDone) + duration, endNanoseconds + lastLayer)
        }
    }

    /// Rounded up.
    static func nanoseconds(forBytes amount: Int64, bytesPerSecond: Int64) -> Int64 {
        Int64((Int128(amount) * 1_000_000_000 + Int128(bytesPerSecond) - 1) / Int128(bytesPerSecond))
    }
}
