/// Lists of CPU or node numbers as the kernel writes them: `0-3,8,10-11`.
enum CPUList {
    /// Most numbers that a list may name; more is taken for a broken file.
    static let mostNumbers = 1 << 16

    /// The numbers in rising order, or nil when the text is not such a list. The empty list is written as nothing.
    static func parse(_ text: some StringProtocol) -> [Int]? {
        var numbers: Set<Int> = []
        let trimmed = text.split(whereSeparator: \.isWhitespace)
        guard trimmed.count <= 1 else { return nil }
        guard let list = trimmed.first else { return [] }
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, first >= 0, ends.count <= 2, let last = ends.last ?? nil,
                last >= first,
                last < mostNumbers
            else { return nil }
            numbers.formUnion(first...last)
        }
        return numbers.sorted()
    }

    /// The shortest way to write the numbers as the kernel does.
    static func format(_ numbers: [Int]) -> String {
        var parts: [String] = []
        var index = 0
        let sorted = numbers.sorted()
        while index < sorted.count {
            var end = index
            while end + 1 < sorted.count && sorted[end + 1] == sorted[end] + 1 { end += 1 }
            parts.append(end == index ? "\(sorted[index])" : "\(sorted[index])-\(sorted[end])")
            index = end + 1
        }
        return parts.joined(separator: ",")
    }
}
