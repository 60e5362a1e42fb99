//===----------------------------------------------------------------------===//
// What the serving listener needs to know; replaced as a whole on reload.
//===----------------------------------------------------------------------===//

/// A name under which the fleet serves its model.
struct ServedModel: Sendable, Equatable {
    var name: String
    /// Longest prompt plus output, in tokens.
    var maxModelTokens: Int32
}

/// Limits on what one client can make the daemon hold.
struct ServingLimits: Sendable, Equatable {
    var bodyBytes = 4 << 20
    /// Connections of all clients together; more are closed as they come.
    var connections = 20_000
    /// Generation requests that one event loop holds at a time.
    var requestsPerLoop = 100_000
    /// Streams that one API key holds at a time.
    var streamsPerKey = 20_000
    /// From a request's first byte to its last.
    var receiveSeconds = 30.0
    /// How long a kept-alive connection may say nothing.
    var idleSeconds = 300.0
    /// How long a reader may take nothing while there is something to send it.
    var stallSeconds = 30.0
}

/// Everything that a request on the serving listener is judged by.
struct ServingSettings: Sendable {
    var models: [ServedModel]
    var limits = ServingLimits()
    var lengths = OutputLengthRule()
    /// How prompts are counted, and the KV block size for which they are hashed (0 when nothing caches prefixes).
    var counting = TokenCounting()
    var retryAfterSeconds = 1
    var keys = KeyRing()
    var startedSeconds: Int64 = 0

    func model(named name: String) -> ServedModel? { models.first { $0.name == name } }
}
