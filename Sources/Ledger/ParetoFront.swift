//===----------------------------------------------------------------------===//
// What nothing else beats.
//===----------------------------------------------------------------------===//

/// Which of several points no other point beats: at least as low everywhere and lower somewhere.
public enum ParetoFront {
    /// - Parameter points: objectives to be made small, as many for each point; nil where one is not known, which
    ///   counts as worse
    ///   than any number.
    /// - Returns: indices in the order of the points. Of equal points the first stays.
    public static func indices(of points: [[Double?]]) -> [Int] {
        points.indices.filter { candidate in
            !points.indices.contains { other in
                other != candidate && beats(points[other], points[candidate], first: other < candidate)
            }
        }
    }

    private static func beats(_ winner: [Double?], _ loser: [Double?], first: Bool) -> Bool {
        precondition(winner.count == loser.count)
        var isLower = false
        for (mine, theirs) in zip(winner, loser) {
            let (mine, theirs) = (mine ?? .infinity, theirs ?? .infinity)
            if mine > theirs { return false }
            if mine < theirs { isLower = true }
        }
        return isLower || first
    }
}
