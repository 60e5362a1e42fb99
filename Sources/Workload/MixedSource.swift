//===----------------------------------------------------------------------===//
// Several sources as one, in order of arrival.
//===----------------------------------------------------------------------===//

/// Merges sources by arrival time (ties go to the earlier source) and numbers the requests anew.
final class MixedSource: RequestSource {
    private let sources: [any RequestSource]
    private let limit: Int
    private var state = State()

    /// The next request of each source, and when it arrives; `.max` after the last.
    private struct State {
        var heads: [Request?] = []
        var times: [Int64] = []
        var accepted = 0
    }

    init(_ sources: [any RequestSource], limit: Int?) throws(WorkloadError) {
        self.sources = sources
        self.limit = limit ?? .max
        for source in sources {
            let head = try source.next()
            state.heads.append(head)
            state.times.append(head?.arrivalNanoseconds ?? .max)
        }
    }

    func next() throws(WorkloadError) -> Request? { try next(&state) }

    private func next(_ state: inout State) throws(WorkloadError) -> Request? {
        guard state.accepted < limit else { return nil }
        var earliest = 0
        for index in 1..<max(1, state.times.count) where state.times[index] < state.times[earliest] { earliest = index }
        guard let head = state.heads[earliest] else { return nil }
        var request = head
        let following = try sources[earliest].next()
        state.heads[earliest] = following
        state.times[earliest] = following?.arrivalNanoseconds ?? .max
        request.id = UInt64(state.accepted)
        state.accepted += 1
        return request
    }

    var reading: ReadingCounts {
        var counts = ReadingCounts()
        for source in sources {
            counts.skipped += source.reading.skipped
            counts.raisedToOneToken += source.reading.raisedToOneToken
            counts.shortened += source.reading.shortened
            counts.firstSkipped = counts.firstSkipped ?? source.reading.firstSkipped
        }
        counts.accepted = state.accepted
        return counts
    }
}
