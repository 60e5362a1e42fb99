import Foundation

/// The targets of `Package.swift` with their floors, read from its text: the manifest names the floor in a comment
/// above each group of rooms.
struct House {
    struct Room {
        var name: String
        var floor: Int
        var dependencies: [String]
    }

    static let mainFloor = 8

    let root: String
    let rooms: [Room]

    static func read() throws -> House {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let manifest = try String(contentsOf: folder.appendingPathComponent("Package.swift"), encoding: .utf8)
        return House(root: folder.path, rooms: rooms(in: manifest))
    }

    func floor(of name: String) -> Int? { rooms.first { $0.name == name }?.floor }

    /// Rooms are written `room("Name", ["Dependency", product, …])`, or as a target with `name:` and `dependencies:`.
    static func rooms(in manifest: String) -> [Room] {
        var rooms: [Room] = []
        var floor = 0
        var pending = ""
        for line in manifest.split(separator: "\n") {
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.hasPrefix("// floor "), let number = Int(text.dropFirst("// floor ".count).prefix { $0.isNumber }) {
                floor = number
                continue
            }
            if text.hasPrefix("//") { continue }
            let opens = ["room(", ".executableTarget(", ".target(", ".systemLibrary("].contains { text.hasPrefix($0) }
            if opens { pending = "" }
            guard opens || !pending.isEmpty else { continue }
            pending += text + " "
            guard pending.filter({ $0 == "(" }).count == pending.filter({ $0 == ")" }).count else { continue }
            if let room = room(from: pending, floor: floor) { rooms.append(room) }
            pending = ""
        }
        return rooms
    }

    private static func room(from text: String, floor: Int) -> Room? {
        let dependencyText: Substring
        if let bracket = text.range(of: "dependencies: [") {
            dependencyText = text[bracket.upperBound...].prefix { $0 != "]" }
        } else if text.hasPrefix("room("), let bracket = text.firstIndex(of: "[") {
            dependencyText = text[text.index(after: bracket)...].prefix { $0 != "]" }
        } else {
            dependencyText = ""
        }
        guard let name = quoted(in: text[...]).first, !name.contains("\\") else { return nil }
        return Room(name: name, floor: floor, dependencies: quoted(in: dependencyText))
    }

    private static func quoted(in text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .compactMap { $0.offset.isMultiple(of: 2) ? nil : String($0.element) }
    }

    /// Each `import` under a folder, with the file that has it.
    func imports(under folder: String) throws -> [(file: String, module: String)] {
        let base = "\(root)/\(folder)"
        guard let files = FileManager.default.enumerator(atPath: base) else { return [] }
        var found: [(file: String, module: String)] = []
        for case let file as String in files where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: "\(base)/\(file)", encoding: .utf8)
            for line in text.split(separator: "\n") {
                var words = line.split(separator: " ")
                while let first = words.first,
                    first.hasPrefix("@") || ["public", "internal", "private", "package"].contains(first)
                {
                    words.removeFirst()
                }
                guard words.first == "import", words.count > 1 else { continue }
                let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
                let path = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
                found.append((file: "\(folder)/\(file)", module: String(path.prefix { $0 != "." })))
            }
        }
        return found
    }
}
