//===----------------------------------------------------------------------===//
// A table of text for a terminal.
//===----------------------------------------------------------------------===//

/// Rows of cells: the first column flush left, the others flush right, each as wide as its widest cell.
public struct TextTable: Sendable {
    private enum Row: Sendable {
        case cells([String])
        /// A line of its own, not aligned.
        case heading(String)
        case rule
    }
    private var rows: [Row] = []

    public init() {}

    public mutating func add(_ cells: [String]) { rows.append(.cells(cells)) }
    public mutating func heading(_ text: String) { rows.append(.heading(text)) }
    public mutating func rule() { rows.append(.rule) }

    /// The table's lines, each ended by a newline.
    public var text: String {
        var widths: [Int] = []
        for case .cells(let cells) in rows {
            for (column, cell) in cells.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        let total = widths.reduce(0, +) + 2 * max(0, widths.count - 1)
        var text = ""
        for row in rows {
            switch row {
            case .heading(let heading): text += heading + "\n"
            case .rule: text += String(repeating: "-", count: total) + "\n"
            case .cells(let cells):
                var line = ""
                for (column, cell) in cells.enumerated() {
                    let padding = String(repeating: " ", count: widths[column] - cell.count)
                    line += column == 0 ? cell + padding : "  " + padding + cell
                }
                while line.hasSuffix(" ") { line.removeLast() }
                text += line + "\n"
            }
        }
        return text
    }
}
