//===----------------------------------------------------------------------===//
// trainyard catalog: what is known, with source and grade.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Foundation

struct CatalogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog",
        abstract: "What is known of hardware, models, prices and places, each figure with its source and grade.",
        discussion:
            "Without a name it lists everything. A name may be of any kind, or the path of a Hugging Face config.json."
    )

    @Argument(help: "Accelerator, instance, model, region or fact, or the path of a Hugging Face config.json.")
    var name: String?

    @Option(help: "Write JSON to this file; - for standard output instead of the text.")
    var json: String?

    @Option(help: "Directory of catalogue files that replace or add to the built-in ones.")
    var catalog: String?

    func run() throws {
        let catalog = try catalog.map { try Catalog(directory: $0) } ?? Catalog.builtIn
        let items = try name.map { try catalog.items(named: $0) } ?? catalog.items
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            var contents = Contents(items: items)
            contents.prices = prices(of: items, in: catalog)
            let data = try encoder.encode(contents) + Data("\n".utf8)
            if json == "-" {
                FileHandle.standardOutput.write(data)
                return
            }
            do { try data.write(to: URL(fileURLWithPath: json)) } catch {
                throw CommandError("cannot write \(json): \(error.localizedDescription)")
            }
        }
        let text = name == nil ? catalog.listing : items.map { catalog.text(of: $0) }.joined(separator: "\n")
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// All prices with everything, those of the things named with a name.
    private func prices(of items: [CatalogItem], in catalog: Catalog) -> [Price] {
        if name == nil { return catalog.prices.prices }
        var prices: [Price] = []
        for item in items {
            switch item {
            case .accelerator(let accelerator): prices += catalog.prices.prices(of: accelerator.id)
            case .instance(let instance):
                prices += catalog.prices.prices(of: instance.id) + catalog.prices.prices(of: instance.accelerator)
            case .model, .region, .fact: break
            }
        }
        return prices
    }

    private struct Contents: Encodable {
        var items: [CatalogItem]
        var prices: [Price] = []
    }
}
