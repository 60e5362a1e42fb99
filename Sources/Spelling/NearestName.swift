//===----------------------------------------------------------------------===//
// The nearest valid name to one that is not valid.
//===----------------------------------------------------------------------===//

/// The candidate with the fewest edits from `name`, whatever the case; the first of equals. When every candidate is
/// more than half of its letters away, the first that contains the name or is contained in it; else nil.
///
/// - Complexity: O(candidates × 200²); a longer name is cut, so that an absurd one cannot make the search slow.
public func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = String(name.prefix(200)).lowercased()
    var best: (name: String, distance: Int)?
    var related: String?
    for candidate in candidates {
        let lowered = candidate.lowercased()
        let distance = editDistance(wanted, lowered)
        if distance < best?.distance ?? .max { best = (candidate, distance) }
        if related == nil, !wanted.isEmpty, lowered.contains(wanted) || wanted.contains(lowered) { related = candidate }
    }
    guard let best else { return nil }
    return best.distance * 2 <= max(wanted.utf8.count, best.name.utf8.count) ? best.name : related
}

/// The end of an error message about `name`: "; did you mean 'x'?", or the valid names when none is near.
public func suggestion(for name: String, among candidates: some Collection<String>) -> String {
    if let near = nearestName(to: name, among: candidates) { return "; did you mean '\(near)'?" }
    return "; valid: \(candidates.joined(separator: ", "))"
}

/// Edits that turn one name into the other, where a swap of two neighbours is one (Damerau–Levenshtein, restricted).
func editDistance(_ first: String, _ second: String) -> Int {
    let source = Array(first.utf8)
    let target = Array(second.utf8)
    var beforePrevious = [Int](repeating: 0, count: target.count + 1)
    var previous = Array(0...target.count)
    var current = previous
    for row in 0..<source.count {
        current[0] = row + 1
        for column in 0..<target.count {
            let substitution = previous[column] + (source[row] == target[column] ? 0 : 1)
            var best = min(substitution, previous[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, source[row] == target[column - 1], source[row - 1] == target[column] {
                best = min(best, beforePrevious[column - 1] + 1)
            }
            current[column + 1] = best
        }
        (beforePrevious, previous, current) = (previous, current, beforePrevious)
    }
    return previous[target.count]
}
